"""What one run of a grid from an empty folder costs: processor time by stage, starts, wall time, peak memory.

    python benchmarks/grid.py [--configfile config/quick.yaml] [--cores N]

Results and cache of the run lie in a folder that is deleted; packages are taken from .cache where they are there. The
table goes to benchmarks/results/grid-NAME.md. Processor seconds hardly depend on what else the machine does; wall time
does. The peak is that of all processes of the run together, looked at twice a second.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil
import yaml

from lmodp.pipeline.bundles import Bundles
from lmodp.pipeline.layout import Layout
from lmodp.reporting.tables.render import Page, Table, to_markdown

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the grid, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, default=ROOT / "config/quick.yaml")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    values = yaml.safe_load(arguments.configfile.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        text = table(values, Path(folder), arguments.cores)
    print(text)
    (ROOT / f"benchmarks/results/grid-{values['grid']}.md").write_text(text, encoding="utf-8")


def table(values: dict, folder: Path, cores: int) -> str:
    """Run a grid in a folder and return its table."""
    values |= {"results_root": str(folder / "results"), "cache_root": str(folder / "cache")}
    for name in ("packages", "downloads"):
        if (ROOT / ".cache" / name).is_dir():
            shutil.copytree(ROOT / ".cache" / name, folder / "cache" / name)
    # In the order of the file: the first experiment's cells are audited.
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    wall, processor, peak = measured(folder, cores)
    bundles = [json.loads(path.read_text()) for path in (folder / "cache/bundles" / values["grid"]).glob("*.json")]
    rows, starts = by_stage(bundles)
    known = Bundles(Layout.from_values(values))
    expected = sum(bundle.seconds for bundle in known.all.values())
    inside = sum(bundle["processor_seconds"] for bundle in bundles)
    rows += [("starts and imports", len(bundles), starts), ("Snakemake itself", 1, processor - inside)]
    lines = [(name, str(count), f"{seconds:.1f}") for name, count, seconds in rows]
    caption = (
        f"{processor:.0f} s of processor time, {wall:.0f} s of wall time, at most {peak / 2**30:.2f} GiB of memory for "
        f"all processes together. lmodp plan expects {expected:.0f} s of processor time on its reference machine."
    )
    page = Page("What it took", caption, [Table("", ("task", "times", "processor seconds"), lines)])
    return to_markdown([page], title=f"The grid {values['grid']} from an empty folder, {cores} cores")


def measured(folder: Path, cores: int) -> tuple[float, float, int]:
    """Run the workflow and return wall seconds, processor seconds and the peak of all resident sets."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", str(folder / "config.yaml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    begun, before, peak = time.perf_counter(), sum(os.times()[2:4]), 0
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, resident(psutil.Process(process.pid)))
            time.sleep(0.5)
    if process.returncode:
        sys.exit((folder / "log.txt").read_text()[-3000:])
    return time.perf_counter() - begun, sum(os.times()[2:4]) - before, peak


def resident(process: psutil.Process) -> int:
    """Return the resident sets of a process and its descendants together, in bytes."""
    total = 0
    for item in (process, *process.children(recursive=True)):
        try:
            total += item.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def by_stage(bundles: list[dict]) -> tuple[list[tuple[str, int, float]], float]:
    """Return name, number and processor seconds of each kind of task, and the seconds of starts and imports."""
    found: dict[str, list[float]] = defaultdict(list)
    for bundle in bundles:
        for task in bundle["tasks"]:
            found[task["task"].split()[0]].append(task["work_seconds"])
    rows = [(name, len(seconds), sum(seconds)) for name, seconds in found.items()]
    work = sum(seconds for _, _, seconds in rows)
    total = sum(bundle["processor_seconds"] for bundle in bundles)
    return sorted(rows, key=lambda row: -row[2]), total - work


if __name__ == "__main__":
    main()
