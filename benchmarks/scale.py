"""What a grid of ten thousand cells costs where nothing is trained: its plan, the workflow's graph, its report.

    python benchmarks/scale.py [--cells N]

The records are made up: a few cells are trained, and their records are written again under the other cells' names, by
the stages' own code. Seconds are of the processor; memory is the largest resident set. The table goes to
benchmarks/results/scale.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lmodp.pipeline import job as job_module
from lmodp.pipeline.bundles import RULES, Bundles
from lmodp.pipeline.layout import Layout
from lmodp.pipeline.run_bundle import do_tasks
from lmodp.records.record import plain
from lmodp.reporting.tables.render import Page, Table, to_markdown

ROOT = Path(__file__).resolve().parents[1]
METHODS, TARGETS = ("gaussian", "laplace"), 500
REAL = ("prepare_dataset", "prepare_model", "tokenize_dataset", "cache_activations")  # done once, as they are
Step = tuple[str, float, float]


def main() -> None:
    """Plan, make up the records, report, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000)
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as folder:
        steps = measure(Path(folder), cells)
    rows = [(name, f"{seconds:.1f}", f"{memory / 1e6:.0f}") for name, seconds, memory in steps]
    caption = f"{cells:,} cells of two repetitions, each under a mechanism of its own. {__doc__.splitlines()[4]}"
    page = Page("What it took", caption, [Table("", ("what", "processor seconds", "MB"), rows)])
    text = to_markdown([page], title=f"A grid of {cells:,} cells")
    print(text)
    (ROOT / "benchmarks/results/scale.md").write_text(text, encoding="utf-8")


def configuration(folder: Path, cells: int) -> dict[str, Any]:
    """Return the smoke grid's head at many targets, in experiments of a thousand cells."""
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text(encoding="utf-8"))
    head, each = values["experiments"]["head"], min(TARGETS, cells // len(METHODS))
    count = cells // (each * len(METHODS))
    epsilon = [round(1 + 0.01 * number, 2) for number in range(each)]
    experiments = {
        f"head_{number}": {**head, "training": {**head["training"], "steps": 6 + number}} for number in range(count)
    }
    return values | {
        "methods": list(METHODS),
        "privacy": {"epsilon": epsilon, "delta": [1e-10], "calibrations": ["verified"], "published_points": []},
        "experiments": experiments,
        "results_root": str(folder / "results"),
        "cache_root": str(folder / "cache"),
    }


def measure(folder: Path, cells: int) -> list[Step]:
    """Return every step with its processor seconds and its peak of memory."""
    file = folder / "many.yaml"
    file.write_text(yaml.safe_dump(configuration(folder, cells)), encoding="utf-8")
    snakemake = ["-m", "snakemake", "--configfile", str(file), "--cores", "1", "--quiet", "all", "--nolock"]
    steps = [
        in_a_process("lmodp plan", "-m", "lmodp.cli", "plan", str(file), "--rate", "8e10"),
        in_a_process("the workflow's graph, nothing made (snakemake --dry-run)", *snakemake, "--dry-run"),
    ]
    make_up(folder, cells)
    steps.append(in_a_process("tables, figures and report (snakemake)", *snakemake))
    return [*steps, in_a_process("a start that has nothing to do", *snakemake)]


def in_a_process(name: str, *arguments: str) -> Step:
    """Run Python with arguments; return the name with what it took, its children included."""
    code = "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:]).returncode; "
    code += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    code += "print(status, used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    status, seconds, kilobytes = done.stderr.strip().splitlines()[-1].split()
    if status != "0":
        sys.exit(f"{name}: {done.stdout[-2000:]} {done.stderr[-3000:]}")
    return name, float(seconds), 1024 * float(kilobytes)


def make_up(folder: Path, cells: int) -> None:
    """Write all records but those that show results."""
    kept: dict[tuple[str, str], str] = {}
    _do(configuration(folder / "few", 2 * len(METHODS)), lambda stage, asked, work: _keep(kept, stage, asked, work))
    _do(configuration(folder, cells), lambda stage, asked, work: _again(kept, stage, asked, work))


def _do(values: dict[str, Any], worker: Callable[..., Any]) -> None:
    """Do all tasks of a grid but those that show results, with another worker in place of each stage's."""
    right = job_module.run_stage

    def run_stage(stage: str, *, work: Callable[[], Any], **rest: Any) -> Any:
        return right(stage, work=lambda: worker(stage, rest, work), **rest)

    job_module.run_stage = run_stage
    try:
        bundles = Bundles(Layout.from_values(values))
        done = do_tasks(bundles, (task for task in bundles.tasks if task.job not in RULES["report"]))
    finally:
        job_module.run_stage = right
    if failed := [item for item in done if item["failure"]]:
        sys.exit(f"{len(failed)} tasks failed: {failed[0]}")


def _keep(kept: dict[tuple[str, str], str], stage: str, asked: dict[str, Any], work: Callable[[], Any]) -> Any:
    """Do the work, and remember it by stage and method, without the name of what it is for."""
    content = work()
    if stage not in REAL:
        text = json.dumps(plain(content))
        for word, name in names(asked).items():
            text = text.replace(name, f"@{word}@")
        kept.setdefault((stage, asked["spec"].get("method", "")), text)
    return content


def _again(kept: dict[tuple[str, str], str], stage: str, asked: dict[str, Any], work: Callable[[], Any]) -> Any:
    """Return what was remembered, for another thing."""
    text = kept.get((stage, asked["spec"].get("method", "")))
    if text is None:
        return work()
    for word, name in names(asked).items():
        text = text.replace(f"@{word}@", name)
    return json.loads(text)


def names(asked: dict[str, Any]) -> dict[str, str]:
    """Return the names in a record of one thing: its folder and its runs."""
    from lmodp.specs import CellSpec

    spec = asked["spec"]
    runs = [CellSpec.from_dict(spec).run_id(number) for number in (0, 1)] if "experiment" in spec else []
    return {**{f"run{number}": run for number, run in enumerate(runs)}, "folder": asked["record"].parent.name}


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(
        f"{time.perf_counter() - began:.0f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB here"
    )
