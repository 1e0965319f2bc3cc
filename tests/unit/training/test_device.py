"""Which device trains, and that two processes share no GPU unless they are told to."""

import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lmodp.errors import MissingDevice, may_pass
from lmodp.training import device, ranks


def test_without_a_gpu_the_processor_trains_and_a_wanted_gpu_is_told():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert device.device_of_runs() == device.device_of_runs("cpu") == torch.device("cpu")
    assert device.take_gpu("auto") is None
    with pytest.raises(MissingDevice, match="device = 'cuda': torch finds no GPU here") as error:
        device.take_gpu("cuda")
    assert may_pass(error.value), "the cell is tried again where there is one"


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A machine with two GPUs, as far as torch tells."""
    chosen = []
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_properties": lambda number: SimpleNamespace(uuid=f"uuid{number}"),
        "set_device": chosen.append,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(device, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(device, "_HELD", [])
    yield chosen
    for lock in device._HELD:
        lock.release()


HOLD = """
    import sys, time
    from filelock import FileLock
    lock = FileLock(sys.argv[1])
    lock.acquire()
    print("held", flush=True)
    time.sleep(600)
"""


def held_elsewhere(path):
    """Let another process hold a lock."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HOLD), path], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_a_gpu_of_another_process_is_left_alone_and_free_again_when_that_is_killed(two_gpus, tmp_path, monkeypatch):
    other = held_elsewhere(tmp_path / f"lmodp-{os.getuid()}-gpu-uuid0-0.lock")
    assert device.take_gpu("auto") == 1 and two_gpus == [1]
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        other.kill()
        other.wait()

    monkeypatch.setattr(device.time, "sleep", sleep)
    assert device.take_gpu("cuda") == 0 and len(waited) == 1, "both were in use until the other process died"


def test_where_it_is_told_processes_share_a_gpu(two_gpus, tmp_path):
    others = [held_elsewhere(tmp_path / f"lmodp-{os.getuid()}-gpu-uuid{number}-0.lock") for number in (0, 1)]
    assert device.take_gpu("auto", share=2) == 0
    for other in others:
        other.kill()
        other.wait()


def test_ranks_that_want_gpus_are_told_before_work_starts(two_gpus, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(MissingDevice, match="ranks = 3 on this machine: it has 2 GPUs; nccl needs one for each"):
        ranks.join()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingDevice, match="device = 'cuda': torch finds no GPU"):
        ranks.join("cuda")


def test_one_process_is_a_rank_of_its_own():
    one = ranks.ranks()
    assert (one.rank, one.count, one.is_first, one.of_first(5), one.total([1, 2])) == (0, 1, True, 5, [1, 2])
    whole, total = np.arange(5), torch.ones(3)
    one.add([total])
    one.agree({"plan": "a"})
    one.require_work(0.5)
    assert np.array_equal(one.deal(whole), whole) and total.tolist() == [1, 1, 1]


def test_examples_are_dealt_out_once_and_by_length():
    order = np.arange(11)  # by length
    parts = [ranks.Ranks(rank, 3).deal(order) for rank in range(3)]
    assert sorted(np.concatenate(parts)) == list(order)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1 and np.ptp([part[:3].sum() for part in parts]) <= 6
