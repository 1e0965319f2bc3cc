"""The noise with the smallest standard deviation under ``verified``, over a continuous space of shapes.

Calibration finds the scale, so only the shape is searched. Each part of the rate has
mean 1. The shape consists of the weights on a simplex, the Gamma's shape parameter and
the half-width of the Uniform around 1. The plain Laplace (a rate that hardly varies) is
a corner of this box. If the optimum is on the boundary, the result names the bounds
that it touches.

In many dimensions, if the Renyi supremum is at the limit, the standard deviation is
sigma / sqrt(efficiency) times a number that does not depend on the shape. In finite
dimension the search uses the evenly spread shift instead of the supremum. In both
cases the winner is finally calibrated on the rigorous bound.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize

from lmodp.accounting.calibration import scale_to_target, split_scale, verified_upper
from lmodp.accounting.checks import Run
from lmodp.mechanisms import ExponentialPart, GammaPart, LaplaceMixture, Noise, UniformPart

# name: (smallest, largest); shape and half-width are searched in logarithms.
BOUNDS = {
    "uniform_share": (0.0, 1.0),  # of the mean rate; the rest is shared by Gamma and exponential
    "gamma_share": (0.0, 1.0),  # of that rest
    "gamma_shape": (0.5, 1e4),
    "uniform_half_width": (1e-3, 1.0),
}
_TOUCHES = 1e-3  # distance to a bound, over its range, that counts as touching it


@dataclass(frozen=True, kw_only=True)
class OptimisedNoise:
    """The result of the continuous search.

    Args:
        noise: the calibrated winner.
        noise_multiplier: its standard deviation at clip norm 1.
        epsilon: its verified upper bound (RDP), at most the target.
        active_bounds: bounds of the box that the shape touches, e.g. "gamma_shape at its largest, 10000".
        gaussian_noise_multiplier, laplace_noise_multiplier: of the Gaussian and the plain Laplace, at the same target.
        noise_ratio: noise_multiplier / gaussian_noise_multiplier.
        noise_ratio_better: noise_multiplier over the smaller of the two.
        evaluations: number of shapes tried.
    """

    noise: Noise
    noise_multiplier: float
    epsilon: float
    active_bounds: tuple[str, ...]
    gaussian_noise_multiplier: float
    laplace_noise_multiplier: float
    noise_ratio: float
    noise_ratio_better: float
    evaluations: int


def shape_of(point: np.ndarray) -> LaplaceMixture:
    """Return the noise of a point of the unit cube (coordinates in the order of `BOUNDS`); its rate has mean 1."""
    values = _values(point)
    rest = 1 - values["uniform_share"]
    gamma, exponential = rest * values["gamma_share"], rest * (1 - values["gamma_share"])
    k, half = values["gamma_shape"], values["uniform_half_width"]
    return LaplaceMixture(
        gamma=GammaPart(weight=gamma, shape=k, scale=1 / k),
        exponential=ExponentialPart(weight=exponential, rate=1.0),
        uniform=UniformPart(weight=values["uniform_share"], low=1 - half, high=1 + half),
    )


def _values(point: np.ndarray) -> dict[str, float]:
    found = {}
    for (name, (low, high)), x in zip(BOUNDS.items(), np.clip(point, 0, 1), strict=True):
        found[name] = low + (high - low) * x if low == 0 else low * (high / low) ** x
    return {name: float(value) for name, value in found.items()}


def optimise_noise(
    *, epsilon: float, delta: float, sampling_rate: float = 1.0, steps: int = 1, dimension: int | None = None
) -> OptimisedNoise:
    """Return the Laplace mixture with the smallest standard deviation whose verified bound reaches a target.

    The search is deterministic: it starts on a fixed grid of shapes and continues with the simplex method of
    Nelder and Mead.

    Args:
        epsilon, delta: target of the run.
        sampling_rate, steps: q and T.
        dimension: number of coordinates; None for many.

    Raises:
        Unsupported: the target is too small for the Renyi orders used.
    """
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    if dimension is None:
        point, evaluations = _least(_log_std_in_many_dimensions, starts=(0.05, 0.5, 0.95), most=400)
    else:
        log_std = partial(_log_std, epsilon=epsilon, run=run, dimension=dimension)
        point, evaluations = _least(log_std, starts=(0.05, 0.95), most=80)  # it costs far more to evaluate
    noise, laplace, gaussian = (
        scale_to_target(shape, accountant="verified", epsilon=epsilon, dimension=dimension, **run)
        for shape in (shape_of(point), "laplace", "gaussian")
    )
    return OptimisedNoise(
        noise=noise,
        noise_multiplier=noise.std,
        epsilon=verified_upper(noise, dimension=dimension, **run),
        active_bounds=active_bounds(point),
        gaussian_noise_multiplier=gaussian.std,
        laplace_noise_multiplier=laplace.std,
        noise_ratio=noise.std / gaussian.std,
        noise_ratio_better=noise.std / min(gaussian.std, laplace.std),
        evaluations=evaluations,
    )


def _log_std_in_many_dimensions(point: np.ndarray) -> float:
    """Return the log of the standard deviation at the target, up to a constant, if the supremum is at the limit."""
    return -math.log(max(shape_of(point).efficiency, 1e-12)) / 2


def _log_std(point: np.ndarray, *, epsilon: float, run: Run, dimension: int) -> float:
    """Return the log of the standard deviation at which the evenly spread shift reaches the target."""
    shape = shape_of(point)
    if not math.isfinite(shape.std):
        return 50.0
    return math.log(shape.std * split_scale(shape, epsilon=epsilon, dimension=dimension, **run))


def _least(objective: Callable[[np.ndarray], float], *, starts: tuple[float, ...], most: int) -> tuple[np.ndarray, int]:
    """Return the point of the unit cube with the least value found, and the number of evaluations.

    Args:
        objective: a function of the point.
        starts: values of every coordinate that are tried first.
        most: evaluations of the simplex method, which starts at the best of these.
    """
    points = [np.array(point) for point in itertools.product(starts, repeat=len(BOUNDS))]
    values = [objective(point) for point in points]
    found = minimize(
        objective,
        points[int(np.argmin(values))],
        method="Nelder-Mead",
        bounds=[(0.0, 1.0)] * len(BOUNDS),
        options={"maxfev": most, "xatol": 1e-4, "fatol": 1e-7},
    )
    return np.clip(found.x, 0, 1), len(points) + int(found.nfev)


def active_bounds(point: np.ndarray) -> tuple[str, ...]:
    """Name the bounds that a point touches."""
    named = []
    for (name, (low, high)), x in zip(BOUNDS.items(), point, strict=True):
        if x <= _TOUCHES:
            named.append(f"{name} at its smallest, {low:g}")
        elif x >= 1 - _TOUCHES:
            named.append(f"{name} at its largest, {high:g}")
    return tuple(named)
