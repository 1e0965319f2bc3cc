"""Memory of this process: what happens to freed buffers, and the peak, stated with how it was measured."""

from __future__ import annotations

import ctypes
import resource
import sys

import torch


def peak_memory(device: torch.device) -> dict[str, object]:
    """Return the peak in bytes and how it was measured.

    On a CPU the process's largest resident set so far (it never falls); on CUDA
    the largest amount allocated by torch since the process began.
    """
    if device.type == "cuda":
        return {"peak_memory_bytes": torch.cuda.max_memory_allocated(device), "peak_memory_of": "torch on the device"}
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak_memory_bytes": resident, "peak_memory_of": "resident set of the process"}


# Parameters of mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MAPPED_FROM = 1 << 25  # the largest that the documentation allows


def keep_freed_memory() -> None:
    """Ask the C library to keep freed buffers for this process.

    The GNU allocator gives the top of its heap back when that is free. Whether the
    buffers of a training step lie there is a matter of luck; where they do, every
    step pays for being given the same pages again, a tenth of its time for a small
    network. Buffers of 32 MiB and more still go back at once. Other C libraries are
    left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    # Either call ends the allocator's own adjustment of both thresholds, so the second is made only where the first is taken.
    if mallopt(_MMAP_THRESHOLD, _MAPPED_FROM):
        mallopt(_TRIM_THRESHOLD, -1)


def set_up_training(threads: int) -> None:
    """Set this process up as a training job is: threads, memory, deterministic algorithms.

    Where torch is deterministic it also fills every new buffer with NaN, so that code
    which reads before it writes shows; the suite's tests do that, a run would pay
    milliseconds a step.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
