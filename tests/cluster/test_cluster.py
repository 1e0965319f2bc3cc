"""The smoke grid through SLURM, and jobs that SLURM ends: the same bytes as without a cluster."""

import json
import re
import time
from pathlib import Path

import pytest

from lmodp.records.places import timings_of
from tests.cluster.slurm import as_root, asked, jobs, until
from tests.workflow.conftest import ROOT, Workflow

STEPS = 1500
SLURM = ("--workflow-profile", "profiles/slurm", "--slurm-status-command", "squeue")
SUBMITTED = re.compile(r"has been submitted with SLURM jobid (\d+)")
LOG = re.compile(r"has been submitted with SLURM jobid \d+ \(log: (.+?)\)")


def through_slurm(workflow, *options, **more):
    """Run a grid by the kept profile; return what happened and how long it took."""
    begun = time.perf_counter()
    done = workflow.run(*options, *SLURM, "--default-resources", "slurm_partition=main", cores="100000", **more)
    return done, time.perf_counter() - begun


def processor_seconds(workflow):
    """What the bundles themselves have used, by name."""
    files = (workflow.folder / "cache/bundles" / workflow.values["grid"]).glob("*.json")
    return {path.stem: json.loads(path.read_text()) for path in files}


def test_the_smoke_grid_has_the_same_bytes(slurm, tmp_path_factory, told):
    here, there = (Workflow(tmp_path_factory.mktemp(name), "smoke") for name in ("here", "there"))
    begun = time.perf_counter()
    here.run()
    local = time.perf_counter() - begun
    done, cluster = through_slurm(there)
    assert unmeasured(here) == unmeasured(there)
    submitted = SUBMITTED.findall(done.text)
    bundles = processor_seconds(there)
    assert len(submitted) == len(bundles) and {jobs()[number] for number in submitted} == {"COMPLETED"}
    requested = [asked("scontrol", "show", "job", number) for number in submitted]
    sizes = {re.search(r"mem=(\S+?),", text)[1] for text in requested}
    assert len(sizes) > 1, "not one size for all jobs"
    elapsed = sum(map(run_time, requested))
    inside = sum(item["processor_seconds"] for item in bundles.values())
    told(f"{len(submitted)} jobs, {len(sizes)} sizes of memory ({', '.join(sorted(sizes))})")
    told(f"wall time: {local:.0f} s on two cores, {cluster:.0f} s through SLURM on the same machine")
    told(f"the jobs ran {elapsed:.0f} s together, {inside:.0f} s of processor time of the bundles themselves")
    told(f"overhead: {(elapsed - inside) / len(submitted):.1f} s a job within SLURM's own time")
    largest = max(item["peak_memory_bytes"] for item in bundles.values())
    told(f"largest resident set of a bundle: {largest / 1e6:.0f} MB")
    done, _ = through_slurm(there)
    assert "Nothing to be done" in done.text


def unmeasured(workflow):
    """The records but those of measured times, and the page that shows them."""
    return {name: data for name, data in workflow.records().items() if not name.startswith(("tables/cost", "report"))}


def run_time(text):
    """Seconds that a job ran, as SLURM tells."""
    hours, minutes, seconds = map(int, re.search(r"RunTime=(\d+):(\d+):(\d+)", text).groups())
    return 3600 * hours + 60 * minutes + seconds


METHODS = ("hangs", "greedy", "dies")


def misbehaving(folder, *methods):
    """Return the grid of some methods of `methods/`, each in an experiment of its own."""
    workflow = Workflow(folder, "smoke")
    head = workflow.values["experiments"]["head"]
    training = {**head["training"], "steps": STEPS, "checkpoint_every": STEPS // 10}
    changed = {**head, "training": training, "repetitions": 1}
    workflow.values |= {
        "methods": list(methods),
        "methods_folder": str(ROOT / "tests/cluster/methods"),
        "experiments": {f"with_{name}": {**changed, "methods": [name]} for name in methods},
    }
    workflow.write()
    return workflow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same grid without a cluster, where all methods behave."""
    workflow = misbehaving(tmp_path_factory.mktemp("undisturbed"), *METHODS)
    workflow.run(*targets(*METHODS))
    return workflow


def same(there, here):
    """Whether all records of one grid are, to the byte, in the other."""
    found, known = there.records(), here.records()
    return found == {name: known.get(name) for name in found}


def steps_run(workflow, method):
    """How many steps the last process of a method's only run has done."""
    (cell,) = (path.name for path in (workflow.results / "cells").glob(f"with_{method}-*"))
    (timing,) = timings_of(workflow.results, cell)
    return timing["steps_run"]


def targets(*methods):
    return [f"only_with_{name}" for name in methods]


def test_jobs_that_are_killed_for_time_and_memory_go_on_with_more(slurm, undisturbed, tmp_path, told):
    methods = ("hangs", "greedy")
    there = misbehaving(tmp_path, *methods)
    done, wall = through_slurm(there, *targets(*methods))
    assert same(there, undisturbed)
    sent = [asked("scontrol", "show", "job", number) for number in SUBMITTED.findall(done.text)]
    for text in (text for text in sent if "finetune_model" in text):
        names = ("JobState", "TimeLimit", "RunTime", "mem")
        facts = (re.search(rf"{name}=(\S+)", text)[1].split(",")[0] for name in names)
        told("a job that trains: state {}, time limit {}, ran {}, memory {}".format(*facts))
    states = [jobs()[number] for number in SUBMITTED.findall(done.text)]
    assert sorted(state for state in states if state != "COMPLETED") == ["FAILED", "TIMEOUT"], states
    logs = [Path(log).read_text() for log in LOG.findall(done.text) if Path(log).exists()]  # of jobs that failed
    assert sum("exceeded memory limit" in log for log in logs) == 1
    for method in methods:
        assert steps_run(undisturbed, method) == STEPS and 0 < steps_run(there, method) < STEPS
        told(f"{method}: the second job went on after step {STEPS - steps_run(there, method)} of {STEPS}")
    told(f"wall time {wall:.0f} s")


def test_a_node_that_dies(slurm, undisturbed, tmp_path, told):
    """SLURM itself starts the job again when the node is back; nothing is lost but the steps since the checkpoint."""
    there = misbehaving(tmp_path, "dies")
    process = there.start(*targets("dies"), *SLURM, "--default-resources", "slurm_partition=main", cores="100000")
    until(lambda: list((there.folder / "cache/cells").glob("*/*.happened")), 900)
    node = asked("sinfo", "--noheader", "--format=%n").strip()
    as_root("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    time.sleep(5)
    if "down" in asked("sinfo", "--noheader"):  # where it has not come back by itself
        as_root("scontrol", "update", f"nodename={node}", "state=resume")
    assert process.wait(timeout=1200) == 0
    assert same(there, undisturbed)
    assert 0 < steps_run(there, "dies") < STEPS
    told(f"dies: the job that SLURM started again went on after step {STEPS - steps_run(there, 'dies')} of {STEPS}")


def test_a_profile_without_a_partition_is_one_message(slurm, tmp_path):
    workflow = Workflow(tmp_path, "smoke")
    before = set(jobs())
    done = workflow.run(*SLURM, check=False, cores="100000")
    assert done.returncode and "slurm_partition = '': the profile names no partition" in done.text
    done = workflow.run(*SLURM, "--default-resources", "slurm_partition=main", "--set-threads", "finetune_model=999",
                        check=False, cores="100000")  # fmt: skip
    assert done.returncode and "threads = 999: a job asks for 999, and the nodes of partition main offer" in done.text
    assert set(jobs()) == before, "nothing was submitted"
