"""The hockey stick of one step, the worst of all directions, with the few large coordinates of a direction kept exact.

A single coordinate of weak noise is no Gaussian of nearly its Fisher information, so `dominate` must give every step
more. But only few coordinates of a direction are large. F_0(z, s) = E(z g - 1)_+ bounds E(z r - 1)_+ for directions of
squared length s whose coordinates are small, with log g of N(Gamma(s)), Gamma of `dominate` up to that size. Larger
ones are drawn one after the other, the largest first: for the cell j of squared shifts

    F_j(z, s) = max(F_{j-1}(z, s), E F_j(z r, s - lower end of the cell)), r of the cell's upper end.

F_j is convex in z, does not fall, and bounds all directions whose coordinates lie in cells up to j. The choice after
each draw may depend on it, so the bound covers more than there is (docs/verified_bounds.md, "Weak steps").
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy.linalg import toeplitz
from scipy.special import log_ndtr

from lmodp.accounting.domination.budget import dominate
from lmodp.accounting.domination.stick import lattice_sticks
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Floats

_BUDGETS = 400  # steps of the lattice of squared lengths
_SMALL = 0.05  # squared shift up to which coordinates are small
_CELL = 1.03  # ratio of squared shifts in a cell, at least
_WIDTH = 0.02  # of the lattice of losses, in deviations of the loss
_DEVIATIONS = 18.0  # of the loss that the lattice covers
_UP, _STICK = 1 + 1e-12, 1 + 1e-8  # rounding of sums; of Gaussian sticks, whose logarithms cancel far out


class Step(Protocol):
    """What dominates a step: the ratio g, by its hockey stick."""

    @property
    def gamma(self) -> float:
        """Return the variance of log g of a Gaussian above it."""

    def log_stick(self, r: Floats) -> Floats:
        """Return at least log E(g - r)_+ for r >= 1, log E(r - g)_+ below."""


@dataclass(frozen=True)
class GaussianStep:
    """The Gaussian whose log g has variance ``gamma``."""

    gamma: float

    def log_stick(self, r: Floats) -> Floats:
        """Return the stick of `Step`."""
        return gaussian_log_stick(r, self.gamma)


@dataclass(frozen=True, eq=False)
class StepCurve:
    """Values at least E(r - kappa)_+ for every direction.

    Args:
        gamma: the variance of log g of a Gaussian that dominates a step.
        width: of the lattice of log kappa.
        values: at log kappa = 0, width, 2 width, ..., shape (n,).
        ends: of the cells of squared shifts that were drawn; the last is the squared length 1.
    """

    gamma: float
    width: float
    values: Floats
    ends: tuple[int, ...]

    def log_stick(self, r: Floats) -> Floats:
        """Return the stick of `Step`. E(r - g)_+ is r E(g - 1/r)_+."""
        with np.errstate(divide="ignore"):
            log_r = np.log(r)
        known = np.abs(log_r) <= self.width * (len(self.values) - 1)
        corners = np.exp(self.width * np.arange(len(self.values)))
        found = gaussian_log_stick(r, self.gamma)
        exact = np.log(np.interp(np.exp(np.abs(log_r[known])), corners, self.values))
        found[known] = exact + np.minimum(log_r[known], 0)
        return found


def gaussian_log_stick(r: Floats, x: float) -> Floats:
    """Return log E(g - r)_+ for r >= 1, log E(r - g)_+ below, log g of N(x)."""
    root = math.sqrt(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_r = np.log(r)
        away = np.abs(log_r)
        near = log_ndtr(root / 2 - away / root)
        ratio = np.minimum(away + log_ndtr(-root / 2 - away / root) - near, 0.0)
        found: Floats = np.where(r > 0, np.minimum(log_r, 0) + near + np.log(-np.expm1(ratio)), -np.inf)
    return found


@lru_cache(maxsize=16)
def step_curve(noise: RateMixture) -> StepCurve:
    """Return the curve of one step.

    Raises:
        Unsupported: the noise does not pass `dominate`.
    """
    domination = dominate(noise)
    deviation = math.sqrt(noise.fisher_information)
    width = _WIDTH * deviation
    lower, upper = _cells()
    laws = [_law(noise, square, width) for square in upper]
    reach = max(len(law) for law in laws) - 1
    count = math.ceil(_DEVIATIONS * deviation / width)
    z = np.exp(width * np.arange(-count, 1))
    gamma = domination.up_to(lower[0] / _BUDGETS)
    budgets = gamma[np.arange(_BUDGETS + 1) * ((len(gamma) - 1) // _BUDGETS)]
    values = np.stack([np.exp(gaussian_log_stick(z, float(variance))) for variance in budgets]) * _STICK
    for moved, law in zip(lower, laws, strict=True):
        away = np.zeros(count + 1 + 2 * reach)
        sides = law * np.exp(width * np.arange(len(law)))
        away[reach : reach + len(law)] = law
        away[reach - len(law) + 1 : reach + 1] = sides[::-1]
        draw = toeplitz(np.concatenate([away[: 2 * reach + 1], np.zeros(count)]), np.zeros(count + 1))
        for start in range(moved, _BUDGETS + 1, moved):
            rows = np.arange(start, min(start + moved, _BUDGETS + 1))
            drawn = _extended(values[rows - moved], z, width, reach) @ draw * _UP
            values[rows] = np.maximum(values[rows], drawn)
    kappa = np.exp(width * np.arange(count + 1))
    return StepCurve(domination.at(1.0), width, values[-1, ::-1] * kappa * _UP, (*lower, _BUDGETS))


def _cells() -> tuple[list[int], Floats]:
    """Return the lower ends of the cells of large squared shifts, in budgets, and the upper ends."""
    lower = [round(_SMALL * _BUDGETS)]
    while lower[-1] * _CELL < _BUDGETS:
        lower.append(max(lower[-1] + 1, int(lower[-1] * _CELL)))
    return lower, np.append(np.array(lower[1:]) / _BUDGETS, 1.0)


def _law(noise: RateMixture, square: float, width: float) -> Floats:
    """Return P of the losses 0, width, 2 width, ... of a pair that dominates one coordinate; that of a loss -l is
    e^l times that of l."""
    stick = lattice_sticks(noise, math.sqrt(square), width)
    kappa = np.exp(width * np.arange(len(stick)))
    slope = np.append(np.diff(stick) / np.diff(kappa), 0.0)
    mass = np.maximum(np.diff(slope), 0.0)
    law = np.concatenate([[0.0], mass]) * _UP
    law[0] = max(1 - float((law[1:] * (1 + kappa[1:])).sum()), 0.0)
    return law


def _extended(values: Floats, z: Floats, width: float, reach: int) -> Floats:
    """Return F also below the lattice, where it is at most the first value, and above 1, z - 1 + z F(1/z)."""
    above = z[-1] * np.exp(width * np.arange(1, reach + 1))
    mirrored = above - 1 + above * values[:, -2 : -2 - reach : -1]
    return np.concatenate([np.repeat(values[:, :1], reach, axis=1), values, mirrored], axis=1)
