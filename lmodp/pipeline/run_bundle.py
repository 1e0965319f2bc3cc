"""The script of every rule: does the waiting tasks of one bundle, each for itself."""

import gc
import os
import resource
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lmodp.pipeline import jobs
from lmodp.pipeline.bundles import TRAINING, Bundles, Task
from lmodp.pipeline.console import speak_plainly
from lmodp.pipeline.job import Job, keep_log, tell
from lmodp.pipeline.layout import Layout
from lmodp.records.record import read_json, write_json
from lmodp.records.stage_table import STAGES


def run_bundle(snakemake: Any) -> None:
    """Do the tasks of a bundle; ``snakemake`` is what Snakemake puts into a script's namespace.

    The bundle's file says what each task took and why one failed. A bundle in which everything failed fails.
    """
    gc.set_threshold(10_000)  # of 700 new objects, which imports make a thousand times: a seventh of a start
    speak_plainly()
    keep_log(Path(str(snakemake.log)))
    sys.excepthook = lambda kind, error, traceback: tell(error)
    bundles = Bundles(Layout.from_values(snakemake.config))
    tasks = [Task(*name.split(" ", 1)) for name in snakemake.params.tasks]
    if any(task.job in TRAINING for task in tasks) and bundles.layout.config.processes == 1:
        from lmodp.training.device import take_gpu  # torch, which these tasks load anyway

        take_gpu(bundles.layout.config.device, share=bundles.layout.config.cells_per_gpu)
    before = failures(path for path in map(Path, snakemake.input) if path.suffix == ".json")
    done = do_tasks(bundles, tasks, before)
    if all(item["failure"] for item in done):
        sys.exit(1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    measured = {"processor_seconds": processor_seconds(), "peak_memory_bytes": peak}
    write_json(Path(str(snakemake.output)), {"tasks": done, **measured})


def do_tasks(bundles: Bundles, tasks: Iterable[Task], before: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Do tasks one after another; one that fails leaves the others alone, but for those that need what it makes.

    Tasks of earlier bundles that failed are in ``before``, each with why. Returns an entry per task: ``task``,
    ``failure`` (None, or why it has no record), and the processor seconds for importing its code and for its work.
    """
    failed, done = dict(before or {}), []
    for task in tasks:
        began = processor_seconds()
        for stage in task.stages:
            import_module(STAGES[stage].module)
        imported = processor_seconds()
        missing = next((str(item) for item in bundles.needed(task) if str(item) in failed), None)
        failure = f"needs {missing}, which failed" if missing else _failure(bundles.layout, task)
        if failure is not None:
            failed[str(task)] = failure
        times = {"import_seconds": imported - began, "work_seconds": processor_seconds() - imported}
        done.append({"task": str(task), "failure": failure, **times})
    return done


def _failure(layout: Layout, task: Task) -> str | None:
    """Do a task and return None, or why it could not be done."""
    try:
        getattr(jobs, task.job)(Job.of_stage(layout, task.job, task.thing))
    except Exception as error:  # in one cell, it must not cost its neighbours their work
        return tell(error, str(task))
    return None


def failures(files: Iterable[Path]) -> dict[str, str]:
    """Return the tasks that failed in bundles, each with why, from the files of the bundles."""
    tasks = [item for file in files for item in read_json(file)["tasks"]]
    return {item["task"]: item["failure"] for item in tasks if item["failure"]}


def processor_seconds() -> float:
    """Return what this process and its children that ended have used."""
    return sum(os.times()[:4])
