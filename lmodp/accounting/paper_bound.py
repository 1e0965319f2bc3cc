"""The paper's bound: the published formula, only at the orders where it is meaningful, for one step and for a run.

It is for one scalar release of sensitivity 1, and for its composition under Poisson sampling. Orders, conversion
and the rule for rejected points are those of LMO-DP's public experiment code, so its numbers are reproduced exactly.

References:
    Yang et al., LMO-DP, arXiv 2405.18776, Renyi bound of the two-fold randomised Laplace.
"""

import math
from dataclasses import dataclass

import numpy as np

from lmodp.accounting.checks import require_run
from lmodp.accounting.conversion import epsilon_of_rdp, poisson_rdp
from lmodp.mechanisms import Gaussian, Laplace, Noise, RateMixture, mixture_of
from lmodp.mechanisms.arrays import Floats, Orders

ORDERS = np.arange(2, 129)
_ROUNDING = 4e-15  # of a log moment, which is a sum of logarithms below 10


@dataclass(frozen=True)
class StepEpsilon:
    """An epsilon of one step with the order that attains it.

    Args:
        epsilon: ``inf`` where no order is valid.
        order: None where no order is valid or the answer needs none.
        order_in_domain: whether the MGF is finite at order - 1; None without an order.
        reason: why there is no finite epsilon, empty otherwise.
    """

    epsilon: float
    order: int | None = None
    order_in_domain: bool | None = None
    reason: str = ""


def scalar_log_moments(noise: RateMixture, orders: Orders) -> Floats:
    """Return log E_P[(Q/P)^a] of the published bound for a scalar of sensitivity 1.

    log[(a M(a-1) + (a-1) M(-a)) / (2a - 1)], ``inf`` where a - 1 is outside the MGF's domain.
    Exact for a plain Laplace; an upper bound for a random rate, because the rate is revealed.

    Args:
        orders: of at least 1, shape (n,).
    """
    valid = orders - 1 < noise.mgf_domain
    inside = np.where(valid, orders, 1.0)
    up = np.log(inside) + noise.log_mgf(inside - 1)[0]
    with np.errstate(divide="ignore"):
        down = np.log(inside - 1) + noise.log_mgf(-inside)[0]
    return np.where(valid, np.logaddexp(up, down) - np.log(2 * inside - 1), np.inf)


NO_FORMULA = "the published formulas are for Gaussian noise and Laplace noise with a random rate"


def best_step(rdp: Floats, *, delta: float, orders: Orders = ORDERS) -> tuple[Floats, Floats]:
    """Return (epsilon, order index) of rdp + log1p(-1/a) - log(delta a)/(a-1), least over the last axis.

    Args:
        rdp: shape (..., n) over the orders; NaN or ``inf`` drops an order.
    """
    epsilon = rdp + (np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1))
    epsilon = np.where(np.isfinite(epsilon), epsilon, np.inf)
    index = np.argmin(epsilon, axis=-1)
    return np.take_along_axis(epsilon, index[..., None], axis=-1)[..., 0], index


def paper_bound_step(noise: Noise, *, delta: float) -> StepEpsilon:
    """Return what the published bound proves for one scalar of sensitivity 1, orders 2...128 in the domain.

    A Gaussian is outside the paper's bound: its own Renyi curve a/(2 std^2) is used at the same orders.
    """
    if not isinstance(noise, (Gaussian, RateMixture)):
        return StepEpsilon(math.inf, reason=NO_FORMULA)
    rdp = scalar_rdp(noise)
    if not np.isfinite(rdp).any():
        return StepEpsilon(math.inf, reason="no integer order from 2 to 128 lies inside the MGF's domain")
    epsilon, index = best_step(rdp, delta=delta)
    return StepEpsilon(float(epsilon), int(ORDERS[index]), True)


def scalar_rdp(noise: Noise, orders: Orders = ORDERS) -> Floats:
    """Return the scalar Renyi bound at ``orders``, ``inf`` outside the domain."""
    if isinstance(noise, Gaussian):
        return orders / (2 * noise.variance)
    # A moment below rounding is not known, and many steps would multiply its error: it counts as the rounding.
    return np.maximum(scalar_log_moments(mixture_of(noise), orders), _ROUNDING) / (orders - 1)


def pure_scalar(noise: Noise) -> StepEpsilon:
    """Return the exact epsilon, at delta = 0, of one release of one number with sensitivity 1.

    The density ratio p(0)/p(1) is largest at the kink, so epsilon = ln(M'(0)/M'(-1)).
    """
    if isinstance(noise, Gaussian):
        return StepEpsilon(math.inf, reason="a Gaussian has no epsilon at delta = 0")
    if not isinstance(noise, RateMixture):
        return StepEpsilon(math.inf, reason=NO_FORMULA)
    return StepEpsilon(float(noise.log_density(0.0) - noise.log_density(1.0)))


def laplace_step(noise: Laplace) -> StepEpsilon:
    """Return 1/scale, the pure epsilon of a Laplace release of sensitivity 1."""
    return StepEpsilon(1 / noise.scale)


@dataclass(frozen=True)
class RunEpsilon:
    """An epsilon of a whole run.

    Args:
        epsilon: ``inf`` if there is none.
        status: "ok" or "unsupported".
        reason: why it is unsupported; otherwise empty.
        order: order of the minimum; None if there is none.
    """

    epsilon: float
    status: str = "ok"
    reason: str = ""
    order: float | None = None


def paper_bound_run(noise: Noise, *, sampling_rate: float, steps: int, delta: float) -> RunEpsilon:
    """Return the scalar bound under Poisson sampling and composition, at the valid orders of 2...128.

    Args:
        noise: scaled so that the sensitivity is 1.

    Raises:
        InvalidValue: an argument is outside its range.
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta)
    if not isinstance(noise, (Gaussian, RateMixture)):
        return RunEpsilon(math.inf, "unsupported", NO_FORMULA)
    rdp = scalar_rdp(noise)
    valid = ORDERS[np.isfinite(rdp)]
    if len(valid) < 2:
        return RunEpsilon(
            math.inf,
            "unsupported",
            f"{len(valid)} of the orders 2 to 128 lie inside the MGF's domain; sampling needs two",
        )
    log_moments = np.concatenate([[0.0, 0.0], (rdp * (ORDERS - 1))[np.isfinite(rdp)]])
    sampled = poisson_rdp(log_moments=log_moments, sampling_rate=sampling_rate, orders=valid)
    epsilon, order = epsilon_of_rdp(orders=valid, rdp=float(steps) * sampled, delta=delta)
    return RunEpsilon(epsilon, order=order)
