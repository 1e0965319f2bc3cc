"""What each task of a grid costs, in seconds of one core of a reference machine, without torch and without a run.

Work that grows with the model is counted in floating-point operations; everything else is a constant that was
measured (`benchmarks/grid.py`). The bundles of the workflow are filled by these numbers, and what a job asks a cluster
for comes from them. `slowness` says how much slower or faster other cores are; under ``device: cuda`` a GPU does the
operations.
"""

from collections.abc import Callable
from typing import Any

from lmodp.estimate.shapes import Shape, shape_of
from lmodp.grid.cells import Cell, Grid
from lmodp.grid.sections import Config
from lmodp.models.cards import PretrainingSettings
from lmodp.specs import ActivationsSpec, CellSpec
from lmodp.vocabulary import OWN_ENGINE, UNTRAINED

RATE = 80e9  # operations per second of one core of the reference machine in layers of `FULL_WIDTH` and more
FULL_WIDTH = 192  # narrower layers reach less of it
GPU_RATE = 1e13  # of a GPU in float32, where nothing is said: half of an A100's data sheet, assumed and not measured
GPU_HALF = 4.0  # how much faster a GPU is under bfloat16; assumed
GPU_WEIGHT = 0.02  # of the time of noise and update per weight on a core; assumed, from the bandwidth of memory
START = 2.0  # of a process that loads torch and transformers
# Tokens per example on average; for other data sets as many as `_GUESS`, but never more than the longest allowed.
MEAN_LENGTH = {"sst2": 13, "movie_reviews": 27, "made_up": 8, "venues": 59, "e2e": 70}
_GUESS = {"classification": 32, "table_to_text": 70}
PER_STEP = 2e-3  # of a step: sampling, noise, the optimizer's calls
PER_EXAMPLE = 1e-6  # of a drawn example: gathering its batch
PER_WEIGHT = 15e-9  # of a step: a trained weight's noise and update
PER_RUN = 13e-9  # of a run: a weight that is not shared by the runs of a cell is copied and hashed
PER_TOKEN = 1.5e-3  # of a generated token of one sentence, all beams and layers
SCORING = 10.0  # of generated sentences, by programs in Java
PER_CERTIFICATE = {"calibrate_noise": 0.15, "certify_mechanism": 0.25, "search_noise": 0.3}
PER_TRIAL = 1.6e-6  # of an audit of a mechanism
PER_CANARY = 1.5e-3  # of an audit of a training, without its run
OTHER = {
    **{"fetch_package": 1.5, "prepare_dataset": 0.8, "tokenize_dataset": 1.8, "map_wins": 0.1, "map_space": 1.0},
    **{"make_figure": 1.1, "report": 0.2, "make_table": 0.1, "measure_cost": 0.1, "compare_published": 0.1},
}


def slowness(config: Config) -> float:
    """Return how many times longer a grid takes on its own machines than on the reference machine."""
    return 1.0 if config.device == "cuda" or config.machine.rate is None else RATE / config.machine.rate


def seconds_of(job: str, thing: str, grid: Grid) -> float:
    """Return the estimated seconds of one task, its process's start left out.

    Args:
        job: of `lmodp.pipeline.jobs`.
        thing: id of what it makes.
        grid: of the configuration.
    """
    special: dict[str, Callable[[], float]] = {
        "prepare_model": lambda: _model(thing, grid),
        "cache_activations": lambda: _activations(grid.activations[thing], grid),
        "finetune_model": lambda: cell_seconds(grid.cells[thing], grid),
        "finetune_and_audit_model": lambda: cell_seconds(grid.cells[thing], grid, audited=True),
        "collect_results": lambda: 1.0 + 0.1 * len(grid.cells),
        "audit_mechanism": lambda: 0.05 + PER_TRIAL * grid.config.audit.trials,
    }
    if job in special:
        return special[job]()
    return {**OTHER, **PER_CERTIFICATE}[job]


def cell_seconds(cell: Cell, grid: Grid, *, audited: bool = False) -> float:
    """Return the seconds of all runs of a cell: training, scores, and the audit of its training where there is one."""
    spec, training = cell.spec, cell.spec.training
    shape = shape_of(grid.config.model_cards[spec.model], layers=spec.layers)
    length, gpu = length_of(spec), grid.config.device == "cuda"
    rate = _rate(shape, grid) * (GPU_HALF if gpu and training.precision == "bfloat16" else 1.0)
    layers, trained, passes = trained_part(spec.trainable, shape, cached=cell.activations is not None)
    forward_only = grid.methods[spec.method].forward_passes
    generates = spec.card.task == "table_to_text"
    forward = shape.flops(layers, length, with_logits=generates) if layers else 2.0 * shape.width**2
    noise = PER_WEIGHT * trained * (0 if spec.clipping == "none" else 1) * (GPU_WEIGHT if gpu else 1.0)
    noise *= forward_only / 2 if forward_only else 1.0  # a direction is drawn four times, for two passes
    per_example = PER_EXAMPLE + (forward_only or passes) * forward / rate
    step = PER_STEP + noise + training.expected_batch_size * per_example * (1 if spec.engine == OWN_ENGINE else 2)
    run = training.steps * step
    own = trained if cell.activations is not None else shape.parameters
    scored = spec.card.evaluation_size * forward / rate + PER_RUN * own
    if generates:
        generation = spec.generation or {}
        records = generation.get("records") or spec.card.evaluation_size
        token = PER_TOKEN + generation.get("num_beams", 5) * forward / length / rate
        scored += SCORING + token * records * generation.get("max_new_tokens", 64)
    audit = run + scored + PER_CANARY * grid.config.audit.canaries if audited else 0.0
    tried = len(training.candidates) if len(training.candidates) > 1 else 0  # once for all repetitions
    return float(cell.repetitions * (run + scored) + tried * training.trial_steps * step + audit)


def trained_part(part: Any, shape: Shape, *, cached: bool) -> tuple[int, float, float]:
    """Layers that run, trained weights, and forward passes that one step's work equals."""
    kind = part if isinstance(part, str) else next(iter(part))
    if kind == UNTRAINED:
        return (0 if cached else shape.layers), 0.0, 0.0
    if kind == "head":
        return (0 if cached else shape.layers), shape.width**2, 2.0 if cached else 1.0
    if kind == "last_layers":
        kept = int(part[kind])
        return (kept if cached else shape.layers), kept * shape.block, 3.3
    rank = part["lora"].get("rank", 8) if kind == "lora" else 0
    share = {"full": (shape.parameters, 3.0), "lora": (4.0 * rank * shape.width * shape.layers, 2.1)}
    trained, passes = share.get(kind, (10.0 * shape.width * shape.layers, 2.1))
    return shape.layers, trained, passes


def _activations(spec: ActivationsSpec, grid: Grid) -> float:
    """One pass over the encoder, shared by the prefixes of one model and data set."""
    shape = shape_of(grid.config.model_cards[spec.model], layers=spec.layers)
    alike = sum(other.needed_tokens == spec.needed_tokens for other in grid.activations.values())
    card, length = spec.card, length_of(spec)
    examples = card.train_size + card.evaluation_size
    return 0.3 + examples * shape.flops(shape.layers, length) / _rate(shape, grid) / alike


def _model(thing: str, grid: Grid) -> float:
    card = grid.config.model_cards[grid.models[thing].model]
    if card.recipe != "pretrained":
        return 15.0 if card.recipe == "dequantised" else 1.0
    size, shape = PretrainingSettings(), shape_of(card)
    flops = shape.flops(shape.layers, size.block, with_logits=True)
    return 4.0 + 3 * size.steps * size.batch_size * flops / _rate(shape)


def length_of(spec: CellSpec | ActivationsSpec) -> int:
    """Return the tokens of an example on average."""
    return min(spec.max_length, MEAN_LENGTH.get(spec.dataset, _GUESS[spec.card.task]))


def _rate(shape: Shape, grid: Grid | None = None) -> float:
    """Operations per second of what trains: a GPU where the grid asks for one, else a core of the reference machine."""
    if grid is not None and grid.config.device == "cuda":
        return grid.config.machine.rate or GPU_RATE
    return RATE * min(1.0, shape.width / FULL_WIDTH)
