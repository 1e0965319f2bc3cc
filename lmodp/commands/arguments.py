"""Arguments that several commands share: the noise, the run that releases it, and the grid. Nothing heavy is imported.

What can be checked without numpy is checked first, so that a slip is answered at once.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.errors import Fault, InvalidValue, MissingFile, nearest, require
from lmodp.pipeline.console import typed
from lmodp.records.record import read_record
from lmodp.reporting.results import FORM

if TYPE_CHECKING:
    from lmodp.grid.config import Config
    from lmodp.mechanisms import Noise
    from lmodp.plan import Plan

FAMILIES = ("gaussian", "laplace")  # those that one number describes
GRID = "a results folder such as results/quick, or a configuration such as config/quick.yaml"
DEFAULT_GRID = Path("config/quick.yaml")


def new_file(text: str) -> Path:
    """Return a file to write; that its folder is there is asked before anything is computed."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise MissingFile(str(Fault("file", text, "must be a file in a folder that exists", "Create it first.")))
    return path


def add_noise(parser: argparse.ArgumentParser) -> None:
    """Declare ``--noise`` and ``--noise-multiplier``."""
    names = "a published point such as lmo-0.3, a JSON file, gaussian or laplace (default %(default)s)"
    size = "standard deviation of one coordinate's noise over the clip norm; a point or a file is scaled to it"
    parser.add_argument("--noise", default="gaussian", metavar="NAME|FILE", help=names)
    add_methods_folder(parser)
    parser.add_argument("--noise-multiplier", type=float, metavar="M", help=size)


def add_methods_folder(parser: argparse.ArgumentParser) -> None:
    """Declare ``--methods-folder``."""
    folder = "a further folder of methods, like methods_folder in a configuration"
    parser.add_argument("--methods-folder", metavar="DIR", help=folder)


def add_run(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Declare the run: its sampling rate, its steps, its delta and its sensitivity.

    Where rate and steps are ``optional``, without them one step on all examples is asked for.
    """
    parser.add_argument("--dataset-size", type=int, metavar="N", help="number of training examples")
    parser.add_argument("--batch-size", type=float, metavar="B", help="expected number of examples of a step")
    parser.add_argument("--sampling-rate", type=float, metavar="Q", help="B / N, where N is not known")
    parser.add_argument("--epochs", type=float, metavar="E", help="E N / B steps, rounded up")
    parser.add_argument("--steps", type=int, metavar="T", help="number of steps, each a released noisy sum")
    parser.add_argument("--delta", type=float, required=True, metavar="D", help="delta of the privacy statement")
    over = "clip norm over the factor that multiplies the noise (default 1: that factor is the clip norm)"
    parser.add_argument("--relative-sensitivity", type=float, default=1.0, metavar="S", help=over)
    parser.set_defaults(run_is_optional=optional)


def read_run(args: argparse.Namespace) -> dict[str, Any]:
    """Return ``sampling_rate``, ``steps`` and ``delta``; each is given, once, and in its range.

    A delta that is too large for the data is warned of: claims that have one are to be checked too.
    """
    rate = _rate(args)
    steps = args.steps
    if args.epochs is not None:
        require(steps is None, "epochs", args.epochs, "is given beside steps", "Leave one out.")
        require(
            0 < args.epochs / rate < math.inf,
            "epochs",
            args.epochs,
            "must be finite and above 0, with a finite number of steps",
        )
        steps = math.ceil(args.epochs * args.dataset_size / args.batch_size if args.batch_size else args.epochs / rate)
    if steps is None and args.run_is_optional:
        steps = 1
    require(steps is not None, "steps", None, "is needed", "Give --epochs or --steps.")
    require(steps >= 1, "steps", steps, "must be a whole number of at least 1")
    sensitivity = args.relative_sensitivity
    require(0 < sensitivity < math.inf, "relative_sensitivity", sensitivity, "must be finite and above 0")
    remedy = "Choose a value below 1 / dataset_size, for example 1e-10."
    require(0 < args.delta < 1, "delta", args.delta, "must be in (0, 1)", remedy)
    if args.dataset_size is not None and args.delta * args.dataset_size >= 1:
        rule = f"is not below 1 / {args.dataset_size}: it permits a run that publishes somebody's whole example"
        print(f"lmodp: warning: delta = {args.delta:g}: {rule}", file=sys.stderr)
    return {"sampling_rate": rate, "steps": steps, "delta": args.delta}


def _rate(args: argparse.Namespace) -> float:
    size, batch, rate = args.dataset_size, args.batch_size, args.sampling_rate
    if rate is not None:
        both = size is None and batch is None
        require(both, "sampling_rate", rate, "is given beside dataset_size or batch_size", "Leave one out.")
    elif size is None and batch is None and args.run_is_optional:
        rate = 1.0
    else:
        known = size is not None and batch is not None
        remedy = "Give --dataset-size and --batch-size, or --sampling-rate."
        require(known, "sampling_rate", None, "is needed", remedy)
        rule = f"must be above 0 and at most the {size} training examples"
        require(0 < batch <= size, "batch_size", batch, rule)
        rate = batch / size
    require(0 < rate <= 1, "sampling_rate", rate, "must be in (0, 1]", "It is batch_size / dataset_size.")
    return float(rate)


def read_plan(args: argparse.Namespace) -> Plan:
    """Return the plan of ``--noise`` and of the run."""
    run = read_run(args)
    noise = read_noise(args, args.noise)
    from lmodp.plan import Plan

    return Plan(
        noise=noise, clip_norm=args.relative_sensitivity, noise_scale=1.0, dataset_size=args.dataset_size, **run
    )


def load_law(args: argparse.Namespace, name: str) -> Noise:
    """Return a noise by published name or from a file, which may be of a family that a method's file defines."""
    if Path(name).is_file() or args.methods_folder:
        from lmodp.methods.discovery import find_methods

        find_methods(args.methods_folder)  # importing them makes their families known
    from lmodp.mechanisms import load_noise

    return load_noise(name)


def read_noise(args: argparse.Namespace, name: str) -> Noise:
    """Return a noise by its family, name or file, scaled to ``--noise-multiplier`` if it is given."""
    multiplier = args.noise_multiplier
    if multiplier is None:
        remedy = "Give --noise-multiplier, a published point such as --noise lmo-0.3, or a file."
        require(name not in FAMILIES, "noise_multiplier", None, f"is needed for {name} noise", remedy)
    else:
        require(0 < multiplier < math.inf, "noise_multiplier", multiplier, "must be finite and above 0")
    from lmodp.mechanisms import noise_from_dict

    unit = {"gaussian": {"std": 1.0}, "laplace": {"scale": math.sqrt(0.5)}}
    noise = noise_from_dict({"family": name, **unit[name]}) if name in FAMILIES else load_law(args, name)
    if multiplier is None:
        return noise
    require(math.isfinite(noise.std), "noise", name, "has no standard deviation, so no noise multiplier")
    return noise.scaled(multiplier * args.relative_sensitivity / noise.std)


def describe_run(run: dict[str, Any]) -> str:
    """Return rate, steps and delta in words."""
    return f"sampling rate {run['sampling_rate']:.6g}, {run['steps']:,} steps, delta {run['delta']:g}"


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Declare one grid; ``--configfile`` is understood too, since Snakemake calls it so."""
    parser.add_argument("grid", type=Path, nargs="?", metavar="GRID", help=f"{GRID} (default {DEFAULT_GRID})")
    parser.add_argument("--configfile", type=Path, help=argparse.SUPPRESS)


def read_grid(args: argparse.Namespace) -> Path:
    """Return the grid that is named, else the default one."""
    return args.grid or args.configfile or DEFAULT_GRID


def results_folder(grid: Path) -> Path:
    """Return the results folder of a grid, which is named by this folder or by its configuration."""
    return grid if grid.is_dir() else _load(grid).results


def config_of(grid: Path) -> Config:
    """Return the configuration of a grid, which is named by this file or by the results folder that it fills."""
    path = Path("config") / f"{grid.resolve().name}.yaml" if grid.is_dir() else grid
    if grid.is_dir() and not path.is_file():
        raise MissingFile(str(Fault("grid", str(grid), f"is the results folder of no grid: {path} is not there")))
    return _load(path)


def _load(grid: Path) -> Config:
    if not grid.is_file():
        known = [str(path) for pattern in ("config/*.yaml", "results/*/") for path in Path().glob(pattern)]
        rule, remedy = "is neither a results folder nor a configuration", nearest(str(grid), known) if known else ""
        filled_by = Path("config") / f"{grid.name}.yaml"
        if grid.parent.name == "results" and filled_by.is_file():
            rule, remedy = "is not there", f"Run the grid first: {typed('snakemake')} --configfile {filled_by}"
        raise MissingFile(str(Fault("grid", str(grid), rule, remedy)))
    from lmodp.grid.config import load_config

    return load_config(grid)


def read_results(grid: Path, *, rendered: bool = False) -> tuple[Path, dict[str, Any]]:
    """Return a grid's results folder and the content of its ``results.json``, refused if too old to be ``rendered``."""
    root = results_folder(grid)
    path = root / "tables" / "results.json"
    config = grid if grid.is_file() else Path("config") / f"{root.resolve().name}.yaml"
    if not path.is_file():
        remedy = f"Run the grid first: {typed('snakemake')} --configfile {config}"
        remedy = remedy if config.is_file() else f"There is no grid {config} that fills {root}."
        raise MissingFile(str(Fault("results", str(path), "is not there", remedy)))
    results = read_record(path)
    if rendered and results.get("form") != FORM:
        remedy = f"Make it again from the records, nothing is trained: make report CONFIG={config}"
        raise InvalidValue(str(Fault("results", str(path), "was written by another version of the suite", remedy)))
    return root, results


def find_cell(wanted: str, cells: Sequence[str]) -> str:
    """Return the id of the cell that is named, or whose id alone begins so."""
    found = [cell for cell in cells if cell == wanted] or [cell for cell in cells if cell.startswith(wanted)]
    if not found:
        raise InvalidValue(f"cell = {wanted!r}: is not in this grid. {nearest(wanted, cells)}")
    if len(found) > 1:
        rule = f"begins {len(found)} ids: {', '.join(found)}"
        raise InvalidValue(f"cell = {wanted!r}: {rule}. Give one of them.")
    return found[0]
