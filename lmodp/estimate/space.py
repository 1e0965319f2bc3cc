"""Memory and disk of each task of a grid, in bytes, without torch and without a run."""

from collections.abc import Mapping

from lmodp.estimate.seconds import length_of, trained_part
from lmodp.estimate.shapes import Shape, shape_of
from lmodp.grid.cells import Cell, Grid
from lmodp.specs import ActivationsSpec, CellSpec

PROCESS = 550_000_000  # of a process with torch and transformers before it loads a model; measured
CUDA_PROCESS = 4_000_000_000  # of one that uses a GPU, whose libraries come on top; assumed
SMALL = 1_000_000_000  # of tasks without a model: searches, certificates, audits, tables and figures; measured


def training_memory(spec: CellSpec, shape: Shape, *, cached: bool) -> int:
    """Return an estimate of the memory of one training step.

    The sum of: weights in float32 (frozen weights in two bytes under bfloat16), twice, since a run trains a copy of
    the pretrained model (adapters share what they leave frozen); for trained weights a gradient sum and Adam's two
    moments, in float32; per layer that runs, activations after Korthikanti et al. 2022, equation 2,
    s b h (34 + 5 a s / h) in two bytes, twice, since clipping keeps each layer's input and output gradient; and the
    logits of a language model with their gradient.

    References:
        Korthikanti et al. (2022), arXiv:2205.05198.
    """
    training, half = spec.training, spec.training.precision == "bfloat16"
    layers, trained, _ = trained_part(spec.trainable, shape, cached=cached)
    frozen = max(0, shape.parameters - trained)
    tokens = training.micro_batch_size * spec.max_length
    kept = tokens * (34 * shape.width + 5 * shape.heads * spec.max_length) * (1 if half else 2)
    logits = 2 * 4 * tokens * shape.vocabulary if spec.card.task == "table_to_text" else 0
    adapters = isinstance(spec.trainable, Mapping) and "lora" in spec.trainable
    copies = 1 if adapters else 2
    if training.activation_checkpointing and adapters:  # measured; what clipping keeps of trained layers stays
        kept = int(0.8 * kept)
    return int(20 * trained + copies * (2 if half else 4) * frozen + 2 * layers * kept + logits)


def cell_memory(cell: Cell, grid: Grid) -> tuple[int, int | None]:
    """Return the memory of a node and of a GPU (None where the processor trains) that a cell's runs need."""
    spec, cached = cell.spec, cell.activations is not None
    shape = shape_of(grid.config.model_cards[spec.model], layers=spec.layers)
    held = activations_bytes(spec, shape) if cached else 0
    step = training_memory(spec, shape, cached=cached)
    if grid.config.device == "cuda":
        return CUDA_PROCESS + held + 8 * shape.parameters, step
    return PROCESS + held + step, None


def activations_bytes(spec: CellSpec | ActivationsSpec, shape: Shape) -> int:
    """Return the size of the cached outputs of frozen layers, over the training examples."""
    states = spec.card.train_size * (1 if isinstance(spec.trainable, str) else length_of(spec))
    return 4 * states * shape.width


def memory_of(job: str, thing: str, grid: Grid) -> tuple[int, int | None]:
    """Return the memory of a node and of a GPU that one task needs; arguments as of `seconds_of`."""
    if job in ("finetune_model", "finetune_and_audit_model"):
        return cell_memory(grid.cells[thing], grid)
    if job == "prepare_model":
        return PROCESS + 8 * _shape(grid, grid.models[thing].model, grid.models[thing].layers).parameters, None
    if job == "cache_activations":
        spec = grid.activations[thing]
        shape = _shape(grid, spec.model, spec.layers)
        return PROCESS + SMALL + 8 * shape.parameters + 2 * activations_bytes(spec, shape), None
    return SMALL, None


def disk_of(job: str, thing: str, grid: Grid) -> int:
    """Return what one task leaves in the cache."""
    if job in ("finetune_model", "finetune_and_audit_model"):
        cell = grid.cells[thing]
        shape = _shape(grid, cell.spec.model, cell.spec.layers)
        _, trained, _ = trained_part(cell.spec.trainable, shape, cached=cell.activations is not None)
        return int(4 * trained * cell.repetitions)
    if job == "prepare_model":
        return 4 * _shape(grid, grid.models[thing].model, grid.models[thing].layers).parameters
    if job == "tokenize_dataset":
        card, length = grid.tokens[thing].card, grid.tokens[thing].max_length
        return 8 * (card.train_size + card.evaluation_size) * min(length, 128)
    if job == "cache_activations":
        spec = grid.activations[thing]
        return activations_bytes(spec, _shape(grid, spec.model, spec.layers))
    return 0


def _shape(grid: Grid, model: str, layers: int | None) -> Shape:
    return shape_of(grid.config.model_cards[model], layers=layers)
