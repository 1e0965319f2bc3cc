"""Memory of this process: the peak, with how it was measured, and what happens to freed buffers."""

import ctypes
import resource
import sys
import time
from pathlib import Path

import torch


def forget_peak_memory(device: torch.device) -> None:
    """Begin to measure anew: the peak is that of what comes, in a process that has trained before.

    Where the system has no such mark (it is Linux's), the peak stays that of the whole process.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory(device: torch.device) -> dict[str, object]:
    """Return the peak in bytes and how it was measured, since `forget_peak_memory`.

    On a CPU: the process's largest resident set. On CUDA: the most memory that torch has allocated.
    """
    if device.type == "cuda":
        return {"peak_memory_bytes": torch.cuda.max_memory_allocated(device), "peak_memory_of": "torch on the device"}
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        largest = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak_memory_bytes": largest, "peak_memory_of": "resident set of the process"}


def measured(started: float, steps: int, device: torch.device) -> dict[str, object]:
    """Return what a run of some steps took since ``started`` (`time.perf_counter`): the content of ``timing.json``."""
    return {
        "wall_seconds": time.perf_counter() - started,
        "steps_run": steps,
        "device": str(device),
        "threads": torch.get_num_threads(),
        **peak_memory(device),
    }


# Parameters of mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MAPPED_FROM = 1 << 25  # the largest that the documentation allows


def keep_freed_memory() -> None:
    """Ask the C library to keep freed buffers for this process.

    The GNU allocator returns the top of its heap to the system as soon as it is free. Whether the buffers of a training
    step lie there is a matter of luck; if they do, every step requests the same pages anew, which takes a tenth of the
    time of a small network's step. Buffers of 32 MiB and more are still returned at once. Other C libraries are left as
    they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    # Either call switches the automatic adjustment of both thresholds off, so the second is made only if the first
    # was accepted.
    if mallopt(_MMAP_THRESHOLD, _MAPPED_FROM):
        mallopt(_TRIM_THRESHOLD, -1)


def set_up_training(threads: int) -> None:
    """Set this process up for a training job: threads, memory, deterministic algorithms.

    In deterministic mode torch fills new buffers with NaN to expose reads before
    writes. Tests keep that; here it is switched off to save milliseconds per step.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
