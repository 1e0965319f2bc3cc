"""Several ranks do what one does: the same draw, the same sums to rounding, the same noise, the same record."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.contracts.small_world import ROOT

WORKER = ROOT / "tests/distributed/worker.py"
TOLERANCE = 1e-6  # of sums in float32 that are added in another order


FEW = {"sampling_rate": 4 / 60, "steps": 12}
CASES = {
    **{name: {"releases": name} for name in ("gradient", "quantile", "differences", "banded")},
    "few": {"changes": FEW},
    "dropout": {"dropout": 0.5},
    "release": {"changes": {"randomness": "entropy"}},
}
FAULTS = {"plan": "plan", "settings": "settings", "data": "data", "code": "code", "weights": "trained weights"}


def started(folder, count, cases):
    """Start the worker in so many processes; return how it ended and what its first rank saw."""
    file, out = folder / "asked.json", folder / f"out-{count}.json"
    file.write_text(json.dumps({"out": str(out), "cases": cases}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(WORKER), str(file)], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    return done, json.loads(out.read_text()) if out.exists() else None


def run(folder, count, **cases):
    done, found = started(folder, count, cases)
    assert done.returncode == 0, done.stderr[-3000:]
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one"), 1, **CASES, whole={"changes": {"checkpoint_every": 1}})


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    faults = {f"fault {name}": {"fault": name} for name in FAULTS}
    lonely = {"lonely": {"changes": {"sampling_rate": 1 / 60}}}
    return run(tmp_path_factory.mktemp("two"), 2, **CASES, **faults, **lonely)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return run(tmp_path_factory.mktemp("four"), 4, **{name: CASES[name] for name in ("gradient", "few")})


def same(one, other, tolerance=TOLERANCE):
    """Whether two runs did the same, but for the order of additions."""
    for left, right in zip(one["sums"], other["sums"], strict=True):
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one["weights"], other["weights"], rtol=10 * tolerance, atol=10 * tolerance)
    assert one["noise"] == other["noise"]
    facts = [{**found["record"], "diagnostics": None, "noise_measured": None} for found in (one, other)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("releases", ["gradient", "quantile", "differences", "banded"])
def test_two_ranks_do_what_one_does(alone, two, releases):
    enlarged = 2e-3 if releases == "differences" else 1.0  # losses are divided by twice the smoothing
    same(alone[releases], two[releases], TOLERANCE / enlarged)
    assert two[releases]["timing"]["ranks"] == 2 and "ranks" not in alone[releases]["timing"]
    assert any(size % 2 for size in two[releases]["record"]["batch_sizes"]), "ranks had different numbers of examples"


@pytest.mark.parametrize("name", ["gradient", "few"])
def test_four_ranks_do_what_one_does(alone, four, name):
    same(alone[name], four[name])


def test_some_ranks_had_no_example(four):
    sizes = four["few"]["record"]["batch_sizes"]
    assert min(sizes) < 4 <= max(sizes)


def test_dropout_masks_differ_between_ranks_and_noise_does_not(alone, two):
    assert alone["dropout"]["noise"] == two["dropout"]["noise"] and alone["dropout"]["sums"] != two["dropout"]["sums"]


def test_all_ranks_share_the_keys_of_a_release(alone, two):
    """Each would draw keys of its own; then the weights of the ranks would not agree at the end."""
    assert "error" not in two["release"] and two["release"]["noise"] != alone["release"]["noise"]


def test_a_rank_that_dies_ends_the_job_and_another_number_of_ranks_goes_on(alone, tmp_path):
    case = {"checkpoint": str(tmp_path / "c"), "changes": {"checkpoint_every": 1}}
    begun = time.monotonic()
    died, _ = started(tmp_path, 2, {"dies": {**case, "fault": "dies"}})
    assert died.returncode != 0 and time.monotonic() - begun < 200, "the others wait for a rank that is gone"
    told = died.stdout + died.stderr
    assert "rank      : 1" in told and "SIGKILL" in told
    after = run(tmp_path, 1, after=case)["after"]
    assert after["timing"]["steps_run"] == 7 - 3, "from the last checkpoint that the first rank wrote"
    np.testing.assert_allclose(after["weights"], alone["whole"]["weights"], rtol=10 * TOLERANCE, atol=10 * TOLERANCE)


@pytest.mark.parametrize("fault", FAULTS)
def test_ranks_that_disagree_are_told(two, fault):
    told = f"ranks = 2: rank 1 differs from rank 0 in {FAULTS[fault]}. Give every rank the same code"
    assert two[f"fault {fault}"]["error"].startswith(told)


def test_more_ranks_than_examples_are_refused(two):
    assert "expected_batch_size = 1.0: is smaller than the number of ranks, 2" in two["lonely"]["error"]
