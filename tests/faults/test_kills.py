"""Kills at random moments: the next start ends with the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from lmodp.pipeline.layout import Layout
from tests.contracts.small_world import ROOT
from tests.faults.world import STEPS, checkpoints, count, jobs_of, killed, one_job, seconds, start, state

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
IN_TRAINING, SINGLE_JOBS, WORKFLOWS = 150, 40, 10


def forget(values, stage, thing):
    """Delete what a job has made, in results and cache."""
    layout = Layout.from_values(values)
    stages = ("finetune_model", "evaluate_model", "verify_run") if stage == "finetune_model" else (stage,)
    for name in stages:
        for path in layout.outputs(name, thing).values():
            path.unlink()
    if stage == "finetune_model":
        for path in (layout.cache / "cells" / thing).iterdir():
            path.unlink()


def seconds_of(values, stage, thing):
    """How long a job takes in a warm process that nobody kills."""
    forget(values, stage, thing)
    begun = time.perf_counter()
    killed(one_job, (values, stage, thing), when=seconds(0), how=0)  # signal 0 is none
    return time.perf_counter() - begun


def test_inside_training(disturbed, chance):
    """The kills follow the checkpoints, one a step, so they fall into training at any load of the machine."""
    values, kept = disturbed
    layout = Layout.from_values(values)
    cells = [cell.id for cell in layout.grid.active]
    hits, tried = 0, 0
    while hits < IN_TRAINING:
        tried += 1
        assert tried <= 1.1 * IN_TRAINING, f"the kills come too late: {hits} of {tried - 1} fell into training"
        cell = chance.choice(cells)
        forget(values, "finetune_model", cell)
        kills = chance.choice((1, 1, 1, 2, 3))  # some are killed again while they go on
        for again in range(kills):
            step, after = chance.randint(1, STEPS // kills - 2), chance.uniform(0, 0.01)
            moment = checkpoints(layout.cache / "cells" / cell, step, after)
            hit = killed(one_job, (values, "finetune_model", cell), when=moment, how=chance.choice(SIGNALS))
            hits += hit and not again
        start(values)
        assert state(values) == kept, f"kill {tried} of {cell}"
    count("kill inside training, then a start", tried=hits, same_bytes=hits)


def test_single_jobs(disturbed, chance):
    values, kept = disturbed
    jobs = list(jobs_of(Layout.from_values(values)))
    lasts = {job: seconds_of(values, *job) for job in jobs if job[0] != "finetune_model"}
    start(values)
    for number in range(SINGLE_JOBS):
        job = chance.choice(list(lasts))
        forget(values, *job)
        after = chance.uniform(0.02, 1.0) * lasts[job]
        killed(one_job, (values, *job), when=seconds(after), how=chance.choice(SIGNALS))
        start(values)
        assert state(values) == kept, f"kill {number} of {job}"
    count("kill of a single job, then a start", tried=SINGLE_JOBS, same_bytes=SINGLE_JOBS)


def snakemake(values, folder):
    """Start the workflow itself, with all its processes in a group of their own."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({**values, "unfinished": "compute"}))
    command = [sys.executable, "-m", "snakemake", "--configfile", str(file), "--cores", "2", "--nolock"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            [*command, "only_head"], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )


@pytest.mark.parametrize("number", range(WORKFLOWS))
def test_whole_workflows(undisturbed, tmp_path, chance, number):
    """From nothing, killed with all its jobs, and started again."""
    values = {**undisturbed[1], "results_root": str(tmp_path / "results"), "cache_root": str(tmp_path / "cache")}
    process = snakemake(values, tmp_path)
    time.sleep(chance.uniform(4, 40))
    os.killpg(process.pid, chance.choice(SIGNALS))
    process.wait(timeout=120)
    again = snakemake(values, tmp_path)
    assert again.wait(timeout=600) == 0, (tmp_path / "log.txt").read_text()[-3000:]
    found, kept = state(values), {name: data for name, data in undisturbed[2].items() if not name.startswith("tables")}
    assert {name: data for name, data in found.items() if name in kept} == kept
    count("kill of a whole workflow, then a start", tried=1, same_bytes=1)
