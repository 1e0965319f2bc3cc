"""The published bound taken at its word: one scalar release, and its composition under sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmodp.accounting.checks import require_run
from lmodp.accounting.conversion import epsilon_of_rdp, poisson_rdp
from lmodp.accounting.scalar import ORDERS, scalar_rdp
from lmodp.mechanisms import Noise


@dataclass(frozen=True)
class RunEpsilon:
    """An epsilon of a whole run.

    Args:
        epsilon: ``inf`` where there is none.
        status: "ok" or "unsupported".
        reason: why not, empty where it is.
        order: order of the minimum, None where there is none.
    """

    epsilon: float
    status: str = "ok"
    reason: str = ""
    order: float | None = None


def theorem_run(noise: Noise, *, sampling_rate: float, steps: int, delta: float) -> RunEpsilon:
    """Return the scalar bound under Poisson sampling and composition, at the valid orders of 2...128.

    Args:
        noise: scaled so that the sensitivity is 1.

    Raises:
        InvalidValue: an argument is outside its range.
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta)
    rdp = scalar_rdp(noise)
    valid = ORDERS[np.isfinite(rdp)]
    if len(valid) < 2:
        return RunEpsilon(math.inf, "unsupported",
                          f"{len(valid)} of the orders 2 to 128 lie inside the MGF's domain; sampling needs two")
    log_moments = np.concatenate([[0.0, 0.0], (rdp * (ORDERS - 1))[np.isfinite(rdp)]])
    sampled = poisson_rdp(log_moments=log_moments, sampling_rate=sampling_rate, orders=valid)
    epsilon, order = epsilon_of_rdp(orders=valid, rdp=steps * sampled, delta=delta)
    return RunEpsilon(epsilon, order=order)
