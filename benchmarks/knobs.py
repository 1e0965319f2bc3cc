"""What the knobs of methods do: the error on held-out examples of every value, with the grid's budget of rates.

    python benchmarks/knobs.py [--task sst2_head] [--cores N]

A knob is a number of a method's own: bands of correlated noise, directions of loss differences, the quantile that a
clip norm follows. Every value becomes a method of its own, with the plan, the held-out examples and the learning rates
of a task in config/reference.yaml. The scored split takes no part. The table goes to benchmarks/results/knobs-TASK.md;
what the methods in baselines/ use is marked there.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from lmodp.records.record import read_runs
from lmodp.reporting.tables.render import Page, Table, to_markdown

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config/reference.yaml"
METHOD = '''"""One value of a knob."""

from lmodp.methods.contract import Mechanism, Method


class OneValue(Method):
    """Gaussian noise for these releases."""

    name = {name!r}
    title = {title!r}
    reference = "benchmarks/knobs.py"
    calibrations = ("verified",)
    forward_passes = {passes!r}

    def mechanism(self, target):
        from lmodp.mechanisms import Banded, Differences, Quantile, Releases

        releases = {releases}
        return Mechanism(noise=target.calibrate("gaussian", releases), releases=releases)
'''


@dataclass(frozen=True)
class Knob:
    """A knob: the plan of a task that tries it, the releases at a value, the values, and the one that the method uses.

    ``used`` is None where the method chooses by a formula at every target.
    """

    method: str
    title: str
    plan: str
    releases: str
    values: tuple[float, ...]
    used: float | None
    passes: int = 0

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield name and text of one method file for each value."""
        for value in self.values:
            name = f"{self.method}_{value:g}".replace(".", "_")
            passes = int(self.passes * value) or None
            releases = self.releases.format(value=value)
            yield name, METHOD.format(name=name, title=f"{self.title} {value:g}", releases=releases, passes=passes)


KNOBS = (
    Knob(
        "adaptive_clipping",
        "quantile of adaptive clipping",
        "rivals",
        "Releases(clip=Quantile(quantile={value}))",
        (0.1, 0.3, 0.5, 0.7, 0.9),
        0.5,
    ),
    Knob(
        "banded",
        "bands of correlated noise",
        "rivals",
        "Releases(correlation=Banded.square_root({value})) if {value} > 1 else Releases()",
        (1, 2, 4, 8),
        None,
    ),
    Knob(
        "zeroth_order",
        "directions of loss differences",
        "directions",
        "Releases(step=Differences(directions={value}))",
        (1, 4, 16),
        1,
        passes=2,
    ),
)


def main() -> None:
    """Train, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=("sst2_head", "sst2_prompt"), default="sst2_head")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache/knobs", help="goes on where it was stopped")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve() / arguments.task
    run(arguments.task, folder, arguments.cores)
    text = table(errors(folder / "results/knobs"))
    print(text)
    (ROOT / f"benchmarks/results/knobs-{arguments.task}.md").write_text(text, encoding="utf-8")


def run(task: str, folder: Path, cores: int) -> None:
    """Train every value, one run a cell."""
    grid = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    experiments: dict[str, dict[str, Any]] = {}
    (folder / "methods").mkdir(parents=True, exist_ok=True)
    for name, knob in ((f"{task}_{knob.plan}", knob) for knob in KNOBS):
        if name not in grid["experiments"]:
            continue
        experiment = experiments.setdefault(name, {**grid["experiments"][name], "methods": [], "repetitions": 1})
        for method, text in knob.files():
            (folder / f"methods/{method}.py").write_text(text, encoding="utf-8")
            experiment["methods"].append(method)
    values = {
        "grid": "knobs",
        **{name: grid[name] for name in ("base_seed", "privacy")},
        "methods": [method for experiment in experiments.values() for method in experiment["methods"]],
        "experiments": experiments,
        **{f"{name}_root": str(folder / name) for name in ("results", "cache")},
        "methods_folder": str(folder / "methods"),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    targets = [f"only_{name}" for name in experiments]
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", str(cores), "--configfile"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, str(folder / "config.yaml")], cwd=ROOT, env=environment, check=True)


def table(found: Mapping[tuple[str, float], tuple[float, float]]) -> str:
    """Return the errors as a page of Markdown."""
    epsilons = sorted({epsilon for _, epsilon in found})
    tried = [knob for knob in KNOBS if any((name, epsilons[0]) in found for name, _ in knob.files())]
    lines = [line for knob in tried for line in lines_of(knob, found, epsilons)]
    head = ("knob", "value", *(f"ε = {epsilon:g}" for epsilon in epsilons), "mean")
    caption = (
        "Error rate, %, on the held-out training examples at verified ε, Gaussian noise, with the best of the grid's "
        "learning rates (in brackets); one run each. A * marks what the method in baselines/ uses; bands are chosen "
        "by their error formula at every target, and zeroth_order_many has 4 directions. One error of 20 % on 2,000 "
        "examples has a standard error of 0.9."
    )
    return to_markdown([Page("Held-out error by knob", caption, [Table("", head, lines)])], title="Knobs of methods")


def errors(results: Path) -> dict[tuple[str, float], tuple[float, float]]:
    """Return the least held-out error and its learning rate, by method and ε."""
    found = {}
    for path in sorted(results.glob("cells/*/training.jsonl")):
        record, _ = read_runs(path)
        trials = [trial for trial in record["tuning"]["trials"] if trial["validation_error"] is not None]
        best = min(trials, key=lambda trial: trial["validation_error"])
        found[record["spec"]["method"], record["spec"]["epsilon"]] = best["validation_error"], best["learning_rate"]
    return found


def lines_of(
    knob: Knob, found: Mapping[tuple[str, float], tuple[float, float]], epsilons: list[float]
) -> list[tuple[str, ...]]:
    """Return one line of text for each value."""
    lines = []
    for value, (name, _) in zip(knob.values, knob.files(), strict=True):
        row = [found[name, epsilon] for epsilon in epsilons]
        cells = [f"{100 * error:.1f} ({rate:g})" for error, rate in row]
        mark = " *" if value == knob.used else ""
        lines.append((knob.title, f"{value:g}{mark}", *cells, f"{100 * mean(error for error, _ in row):.2f}"))
    return lines


if __name__ == "__main__":
    main()
