"""A small grid that is computed, disturbed and computed again, and the count of what was tried."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import yaml

from lmodp.models.prepare_model import weights_hash  # noqa: F401  torch is loaded before a process is killed
from lmodp.pipeline.layout import Layout
from lmodp.records.artefacts import damage
from tests.contracts.small_world import ROOT
from tests.contracts.whole_grid import run_job

SEED = 20_261_129
TALLY = Path(os.environ.get("LMODP_FAULTS_TALLY", ROOT / ".cache/faults.jsonl"))
STEPS = 30
SHOWN = ("collect_results", "make_table")  # what gathers and shows; pictures take longer to draw than all else


def configuration(folder, **changes):
    """Head cells on sentences of random tokens, with a checkpoint after every step."""
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    head = values["experiments"]["head"]
    training = {**head["training"], "steps": STEPS, "checkpoint_every": 1}
    return {
        **values,
        "methods": ["nonprivate", "gaussian"],
        "experiments": {"head": {**head, "repetitions": 2, "training": training}},
        "privacy": {"epsilon": [3], "delta": [1e-6], "calibrations": ["verified"]},
        "results_root": str(folder / "results"),
        "cache_root": str(folder / "cache"),
        "unfinished": "pending",
        **changes,
    }


def jobs_of(layout):
    """Every job of the grid in an order in which it can be done."""
    grid = layout.grid
    for stage, things in (
        ("prepare_dataset", grid.datasets),
        ("prepare_model", grid.models),
        ("tokenize_dataset", grid.tokens),
        ("cache_activations", grid.activations),
        ("calibrate_noise", grid.mechanisms),
        ("certify_mechanism", grid.mechanisms),
        ("finetune_model", [cell.id for cell in grid.active]),
    ):
        yield from ((stage, thing) for thing in things)
    yield from ((stage, "") for stage in SHOWN)


def needs_a_start(layout, stage, thing):
    """Whether the workflow would start a job: a file of it is missing, or its record is outdated."""
    stages = ("finetune_model", "evaluate_model", "verify_run") if stage == "finetune_model" else (stage,)
    outputs = [layout.outputs(name, thing) for name in stages]
    missing = not all(path.is_file() for files in outputs for path in files.values())
    return missing or any(layout.judge.why_outdated(files["record"]) for files in outputs)


def start(values):
    """Do what one start of the workflow does; return the jobs that were done."""
    damage.cache_clear()  # a start is a new process
    done = []
    for stage, thing in list(jobs_of(Layout.from_values(values))):
        if needs_a_start(Layout.from_values(values), stage, thing):
            run_job(Layout.from_values(values), stage, thing)
            done.append(stage)
    return done


def state(values):
    """The bytes of everything in the results but measured times."""
    root = Layout.from_values(values).results
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "timing.jsonl"
    }


def quietly(work, *arguments):
    """Do some work with its output thrown away; the exit status of the process says how it ended."""
    sys.stdout = sys.stderr = open(os.devnull, "w")
    work(*arguments)


def one_job(values, stage, thing):
    """Do one job, as its rule does."""
    run_job(Layout.from_values(values), stage, thing)


def killed(work, arguments, *, when, how=signal.SIGKILL):
    """Start some work in a warm process, send it a signal at a moment, and say whether it was still there.

    `when` is called with a function that says whether the process lives; it returns at the moment of the signal.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.world"])
    process = context.Process(target=quietly, args=(work, *arguments))
    process.start()
    when(process.is_alive)
    hit = process.is_alive()
    if hit:
        os.kill(process.pid, how)
    process.join(timeout=120)
    assert process.exitcode is not None, "the process ignores the signal"
    return hit


def seconds(after):
    """The moment so many seconds after the start."""
    return lambda lives: time.sleep(after)


def checkpoints(folder, number, after):
    """The moment so many seconds after the work has written so many checkpoints, whatever time that took."""

    def when(lives):
        seen = _written(folder)
        for _ in range(number):
            while (now := _written(folder)) <= seen and lives():  # a deleted one is not a new one
                time.sleep(0.0005)
            seen = now
        time.sleep(after)

    return when


def _written(folder):
    """When each checkpoint of a folder was written."""
    written = set()
    for path in folder.glob("*.checkpoint"):
        with contextlib.suppress(FileNotFoundError):  # it was replaced or deleted meanwhile
            written.add((path.name, path.stat().st_mtime_ns))
    return written


def count(what, **numbers):
    """Add to the harness's own record, which the documentation's table is made from."""
    TALLY.parent.mkdir(parents=True, exist_ok=True)
    with TALLY.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"what": what, **numbers}) + "\n")
