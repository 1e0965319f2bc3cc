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
_MAPPED_FROM = 1 << 26


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed buffers for this process; return whether it agreed.

    The GNU allocator gives the top of its heap back when that is free. Whether the
    buffers of a training step lie there is a matter of luck; where they do, every
    step pays for being given the same pages again, a tenth of its time for a small
    network. Buffers of 64 MiB and more still go back at once. Other C libraries are
    left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, -1)) and bool(mallopt(_MMAP_THRESHOLD, _MAPPED_FROM))
