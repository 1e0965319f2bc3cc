"""What trains: the processor, or a GPU that no other job of this user uses."""

import os
import time
from pathlib import Path
from tempfile import gettempdir

import torch
from filelock import FileLock, Timeout

from lmodp.errors import MissingDevice

_HELD: list[FileLock] = []  # for as long as this process lives


def device_of_runs(wanted: str = "auto") -> torch.device:
    """Return the device of training runs: "cpu", "cuda" (or `MissingDevice`), or "auto", a GPU if there is one."""
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise MissingDevice(
            "device = 'cuda': torch finds no GPU here. Run where there is one, install torch for CUDA, or choose auto."
        )
    return torch.device("cuda" if found and wanted != "cpu" else "cpu")


def take_gpu(wanted: str, *, share: int = 1) -> int | None:
    """Take a GPU for this process, wait until one is free, and return its number; None where the processor trains.

    Locks lie on this machine, one for each GPU and each of the ``share`` processes that may use it, and end with the
    process, however it ends.
    """
    if device_of_runs(wanted).type == "cpu":
        return None
    locks = [(number, _lock(number, slot)) for slot in range(share) for number in range(torch.cuda.device_count())]
    told = False
    while True:
        for number, lock in locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            _HELD.append(lock)
            torch.cuda.set_device(number)  # torch's device "cuda" is this one from now on
            return number
        if not told:
            print(f"all {torch.cuda.device_count()} GPUs are in use: waiting", flush=True)
            told = True
        time.sleep(1)


def _lock(number: int, slot: int) -> FileLock:
    """The lock of one place on a GPU; by the GPU's own name, which is the same whichever of them a process may see."""
    name = str(torch.cuda.get_device_properties(number).uuid)
    return FileLock(Path(gettempdir()) / f"lmodp-{os.getuid()}-gpu-{name}-{slot}.lock")
