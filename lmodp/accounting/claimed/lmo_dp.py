"""The published claims: the arithmetic of the public experiment code, faults included.

Two faults are kept because the published numbers depend on them. First, the closed
form of the MGF is also evaluated at orders where the MGF is infinite. Second, the whole
run is accounted as if the noise were a Gaussian with the classical standard deviation
for the epsilon of one step. Nothing here is a privacy guarantee.

References:
    LMO-DP, arXiv 2405.18776, public experiment code (2024).
"""

import math

import numpy as np

from lmodp.accounting.checks import require_run
from lmodp.accounting.conversion import epsilon_of_rdp, poisson_rdp
from lmodp.accounting.paper_bound import ORDERS, StepEpsilon, best_step, laplace_step
from lmodp.errors import require
from lmodp.mechanisms import Gaussian, Laplace, LaplaceMixture, Noise
from lmodp.mechanisms.arrays import Floats, Orders
from lmodp.mechanisms.parts import ExponentialPart, GammaPart, RatePart


def raw_mgf(part: RatePart, t: Floats) -> Floats:
    """Return the closed form of the weighted part's MGF at ``t``, even where it has no meaning.

    Beyond a pole a Gamma of non-integer shape gives NaN, an exponential a negative number;
    overflow gives ``inf``. Float64 products, as in the published code.
    """
    with np.errstate(all="ignore"):
        x = part.weight * t
        if isinstance(part, GammaPart):
            return (1 - x * part.scale) ** -part.shape
        if isinstance(part, ExponentialPart):
            return part.rate / (part.rate - x)
        return np.exp(part.log_mgf(t)[0])


def claimed_rdp(up: Floats, down: Floats, orders: Orders = ORDERS) -> Floats:
    """Return the published RDP from M(a-1) and M(-a), NaN where it is not a real number above 0.

    Args:
        up: closed form at a - 1, shape (..., n) over the orders.
        down: closed form at -a, same shape.
    """
    with np.errstate(all="ignore"):
        moment = (orders * up + (orders - 1) * down) / (2 * orders - 1)
        rdp = np.log(moment) / (orders - 1)
        return np.where(rdp > 0, rdp, np.nan)


def passes_order_two(noise: LaplaceMixture) -> bool:
    """Whether order 2 is inside the MGF's domain; otherwise the published code rejects a point."""
    return noise.mgf_domain > 1


def claimed_step(noise: Noise, *, delta: float) -> StepEpsilon:
    """Return the epsilon that the published code prints for one step of sensitivity 1.

    Laplace mixtures follow the code. A Laplace has its closed form; a Gaussian the classical
    formula sqrt(2 ln(1.25/delta))/std, which the code uses for its Gaussian baseline.
    """
    if isinstance(noise, Gaussian):
        return StepEpsilon(classic_factor(delta) / noise.std)
    if isinstance(noise, Laplace):
        return laplace_step(noise)
    if not isinstance(noise, LaplaceMixture):
        return StepEpsilon(math.inf, reason=f"the published code has no formula for {noise.family!r}")
    if not passes_order_two(noise):
        return StepEpsilon(math.inf, reason="order 2 lies outside the MGF's domain, the published code rejects it")
    return _mixture_step(noise, delta)


def _mixture_step(noise: LaplaceMixture, delta: float) -> StepEpsilon:
    orders = ORDERS.astype(np.float64)
    epsilon, index = best_step(claimed_rdp(_raw_product(noise, orders - 1), _raw_product(noise, -orders)), delta=delta)
    if not math.isfinite(epsilon):
        return StepEpsilon(math.inf, reason="the published formula gives no real RDP above 0 at orders 2 to 128")
    order = int(ORDERS[index])
    return StepEpsilon(float(epsilon), order, order - 1 < noise.mgf_domain)


def _raw_product(noise: LaplaceMixture, t: Floats) -> Floats:
    """Return the product of the parts' closed forms at ``t``."""
    product = np.ones_like(t)
    for part in noise.active:
        product = product * raw_mgf(part, t)
    return product


def classic_factor(delta: float) -> float:
    """Return sqrt(2 ln(1.25/delta)), the classical Gaussian mechanism's std times epsilon."""
    return math.sqrt(2 * (math.log(1.25) - math.log(delta)))


def claimed_run(step_epsilon: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    """Return the epsilon of a whole run from the epsilon of one step, as the published code does.

    The noise is replaced by a Gaussian of standard deviation sqrt(2 ln(1.25/delta))/step_epsilon,
    composed with Poisson sampling by RDP at the integer orders 2...128.

    Raises:
        InvalidValue: an argument is outside its range.
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta)
    require(0 < step_epsilon < math.inf, "step_epsilon", step_epsilon, "must be finite and above 0")
    variance = (classic_factor(delta) / step_epsilon) ** 2
    orders = np.arange(ORDERS[-1] + 1.0)
    rdp = poisson_rdp(log_moments=orders * (orders - 1) / (2 * variance), sampling_rate=sampling_rate, orders=ORDERS)
    return epsilon_of_rdp(orders=ORDERS, rdp=float(steps) * rdp, delta=delta)[0]
