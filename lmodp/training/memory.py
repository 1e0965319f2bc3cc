"""Peak memory of this process, stated with how it was measured."""

from __future__ import annotations

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
