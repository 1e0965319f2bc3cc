"""The best noise for one number, by convex programmes: the limit of what a choice of noise can give.

The density is constant on bins, symmetric and not rising, and a shift by the sensitivity is a whole number of bins.
Only that shift matters (docs/verified_bounds.md, "Cells"). For one release, and under pure epsilon, the least variance
within (epsilon, delta) is a linear programme. For more releases it is the least variance within a Renyi divergence,
convex in the density; every order gives a valid noise, and the best one by exact accounting is taken.

References:
    Geng, Viswanath, IEEE Trans. Inf. Theory 2016 (staircase); Gilani et al., ICML 2025, arXiv 2504.14730 (Renyi).
"""

import math
from functools import partial

import numpy as np
from scipy.optimize import linprog, minimize, root_scalar
from scipy.sparse import coo_array, diags_array, hstack, vstack

from lmodp.accounting import scale_to_target
from lmodp.accounting.checks import Run
from lmodp.accounting.verified import verified_run
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Histogram
from lmodp.mechanisms.arrays import Floats, Integers

_BINS, _REACH = 10, 40.0  # of a linear programme: bins a unit of sensitivity, and how far they reach in 1/epsilon
_MOST = 20_000  # bins of a linear programme
_INSIDE = 1 - 4e-6  # of epsilon and delta: the solver's tolerance, and what the accounting adds to delta
_WIDER = 1 + 1e-12  # of a bin: the shift is then no more than a whole number of them, whatever is rounded
_FREE = 1e4  # parts of the hockey stick that would have to be below delta by this are 0
_PER_STD, _STDS = 16, 14  # of a convex programme: bins a standard deviation, and where the tail begins
_ORDERS = (0.7, 1.0, 1.4)  # in units of a Gaussian's order
_PRECISION, _TRIES = 2e-4, 10


def best_single(*, epsilon: float, delta: float) -> Histogram:
    """Return the noise of least variance for one release of a number of sensitivity 1; ``delta`` may be 0.

    Variables are y_k, the mass of bin k of the line times exp(epsilon k / s) / epsilon with s bins a unit, so that all
    are of about size 1, and the parts of the hockey stick in the same units. Beyond the last bin y does not change.

    Raises:
        Unsupported: the solver finds no answer, or the programme has more bins than it solves in seconds.
    """
    s, epsilon = max(1, round(_BINS * min(epsilon, 1.0))), epsilon * _INSIDE
    reach = _REACH if delta == 0 else min(_REACH, 3 - math.log(delta))
    bins = math.ceil(s * reach / epsilon)
    if bins > _MOST:
        raise Unsupported(f"epsilon = {epsilon:g}: a programme of {bins:,} bins takes minutes")
    size, k = np.exp(-epsilon / s * np.arange(bins)), np.arange(bins, 10 * bins)
    mass, square = size.copy(), size * _square(np.arange(bins), 1 / s)
    mass[-1] += np.exp(-epsilon / s * k).sum()
    square[-1] += np.exp(-epsilon / s * k) @ _square(k, 1 / s)
    far = np.arange((s + 1) // 2, bins + s)
    near, rows = np.where(far >= s, far - s, s - 1 - far), np.arange(len(far))
    against = -np.exp(epsilon * (1 + (near - far) / s))
    places = np.concatenate([near, np.minimum(far, bins - 1)])
    stick = coo_array((np.append(np.ones(len(far)), against), (np.tile(rows, 2), places)), (len(far), bins))
    falls = diags_array([np.full(bins - 1, -1.0), np.full(bins - 1, size[1])], offsets=[0, 1], shape=(bins - 1, bins))
    free = np.flatnonzero(size[near] < _FREE * delta)
    parts = coo_array((np.full(len(free), -1.0), (free, np.arange(len(free)))), (len(far) + bins - 1, len(free)))
    total = np.concatenate([np.zeros(bins), size[near[free]] * epsilon / max(delta * _INSIDE, 1e-300)])
    empty = np.zeros(len(free))
    found = linprog(
        np.concatenate([2 * square, empty]),
        A_ub=vstack([hstack([vstack([stick, falls]), parts]), total[None]]).tocsr(),
        b_ub=np.append(np.zeros(len(far) + bins - 1), 1.0),
        A_eq=np.concatenate([2 * mass, empty])[None],
        b_eq=[1 / epsilon],
        method="highs",
    )
    if found.status != 0:
        raise Unsupported(f"no noise found for epsilon = {epsilon:g}, delta = {delta:g}: {found.message}")
    return _law(size * found.x[:bins], 1 / s, float(size[1]))


def _square(bins: Integers, width: float) -> Floats:
    """Return E[x^2] in each bin."""
    k = bins.astype(np.float64)
    return (k * k + k + 1 / 3) * width**2


def _law(density: Floats, width: float, ratio: float) -> Histogram:
    """Return the law of these masses, made not to rise, with its tail."""
    falling = np.maximum(np.minimum.accumulate(density), 1e-300)
    masses = falling / (falling.sum() + falling[-1] * ratio / (1 - ratio))
    return Histogram(width=width * _WIDER, masses=tuple(masses.tolist()), ratio=ratio)


def best_composed(*, epsilon: float, delta: float, steps: int) -> Histogram:
    """Return the best noise found for ``steps`` releases of a number of sensitivity 1 at ``delta`` > 0."""
    run: Run = {"sampling_rate": 1.0, "steps": steps, "delta": delta}
    std = scale_to_target("gaussian", accountant="verified", epsilon=epsilon, dimension=1, full=True, **run).std
    order = verified_run(Gaussian(std=std), **run).order or 2.0
    found = (_at_order(max(1.05, share * order), std, epsilon, run) for share in _ORDERS)
    return min((noise for noise in found if noise is not None), key=lambda noise: noise.std)


def _at_order(order: float, std: float, epsilon: float, run: Run) -> Histogram | None:
    """Return the noise of least variance within a Renyi divergence, so large that the run has ``epsilon`` exactly."""
    width = 1 / max(1, round(_PER_STD / std))
    state = {"start": np.full(math.ceil(_STDS * std / width), 1e-3)}

    def noise_of(log_weight: float) -> Histogram:
        state["start"] = _least(order, width, math.exp(log_weight), state["start"])
        density = np.exp(-np.cumsum(state["start"]))
        return _law(density, width, float(np.exp(-state["start"][-1])))

    def gap(log_weight: float) -> float:
        return math.log(verified_run(noise_of(log_weight), dimension=1, **run).upper / epsilon)

    first = math.log(2 * std**2 / order)  # a Gaussian has divergence order/(2 std^2): weight times it against log Var
    root = root_scalar(gap, method="secant", x0=first, x1=first + 0.2, xtol=_PRECISION, maxiter=_TRIES)
    for number in range(_TRIES):
        noise = noise_of(root.root + number * 2 * _PRECISION)
        if verified_run(noise, dimension=1, **run).upper <= epsilon:
            return noise
    return None


def _least(order: float, width: float, weight: float, start: Floats) -> Floats:
    """Return the falls of the log density from bin to bin, at least 0, that minimise log Var + weight * divergence."""
    objective = partial(_objective, order=order, width=width, weight=weight)
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0, 5.0)] * len(start)).x)


def _objective(falls: Floats, *, order: float, width: float, weight: float) -> tuple[float, Floats]:
    """Return log Var + weight * Renyi divergence of a shift by 1, and its gradient; bins go on as they end."""
    s, count = round(1 / width), len(falls)
    log_p = np.concatenate([-np.cumsum(falls), -falls.sum() - falls[-1] * np.arange(1.0, 3 * s + 1)])
    p = np.exp(log_p)
    line = np.concatenate([np.arange(len(p))[::-1], np.arange(len(p))])
    near, far = line[:-s], line[s:]
    terms = np.exp(order * log_p[near] + (1 - order) * log_p[far])
    square = _square(np.arange(len(p)), width)
    total, moment, second = p.sum(), terms.sum(), float(p @ square)
    value = math.log(second / total) + weight * math.log(moment / (2 * total)) / (order - 1)
    slope = p * square / second - p / total - weight / (order - 1) * p / total
    np.add.at(slope, near, weight / (order - 1) * order * terms / moment)
    np.add.at(slope, far, weight / (order - 1) * (1 - order) * terms / moment)
    gradient = -np.cumsum(slope[::-1])[::-1]  # a fall lowers all bins from its own on
    own = gradient[:count].copy()
    own[-1] = gradient[count - 1] - slope[count:] @ np.arange(1.0, 3 * s + 1)
    return value, own
