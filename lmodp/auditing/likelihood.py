"""The score of a transcript: the log-likelihood ratio of a Poisson-sampled canary.

The canary's gradient has length Delta in units of the noise and is spread evenly over M coordinates, Delta/sqrt(M) in
each. On a fixed grid of cells, a coordinate y has the log-likelihood ratio

    l(y) = log( P(cell of y | noise shifted by Delta/sqrt(M)) / P(cell of y | noise) ).

A step that includes the canary with probability q has the ratio

    g(s) = log(1 - q + q exp(s)),   s = sum over the M coordinates of l(y_i),

because one random choice decides for all coordinates. The ratios of T independent steps are added. The sum is the
Neyman-Pearson statistic of the transcript on the grid. The grid is a function of the transcript, so it can only weaken
the test (data processing). It is fine enough that the loss cannot be measured, and every probability becomes a
difference of exact survival functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmodp.errors import require
from lmodp.mechanisms import Noise
from lmodp.mechanisms.arrays import Floats

CELLS = 1 << 16
_TAIL = 1e-5  # P(|X| beyond the inner cells); there is one cell on each side
_LARGEST = 600.0  # exp of it is still a double


@dataclass(frozen=True, kw_only=True)
class CanaryScore:
    """Scores of transcripts in which a canary may take part.

    Args:
        noise: law of the noise in one coordinate, in units of the noise's factor.
        relative_sensitivity: Delta > 0, length of the canary's gradient in those units.
        coordinates: M >= 1, coordinates that it is spread over.
        sampling_rate: q in (0, 1].
    """

    noise: Noise
    relative_sensitivity: float
    coordinates: int
    sampling_rate: float

    def __post_init__(self) -> None:
        rule = "must be finite and above 0"
        require(0 < self.relative_sensitivity < math.inf, "relative_sensitivity", self.relative_sensitivity, rule)
        require(self.coordinates >= 1, "coordinates", self.coordinates, "must be at least 1")
        require(0 < self.sampling_rate <= 1, "sampling_rate", self.sampling_rate, "must be in (0, 1]")

    @property
    def shift(self) -> float:
        """Delta / sqrt(M), the canary's shift in each of its coordinates."""
        return self.relative_sensitivity / math.sqrt(self.coordinates)

    @cached_property
    def edges(self) -> Floats:
        """Inner edges of the cells, ascending, evenly spaced; two open cells lie outside."""
        reach = float(self.noise.inverse_log_survival(-math.log(_TAIL)))
        return np.linspace(-reach, reach + self.shift, CELLS - 1)

    @cached_property
    def masses(self) -> tuple[Floats, Floats]:
        """Probability of each cell without and with the canary, shape (CELLS,) each."""
        return cell_masses(self.noise, self.edges), cell_masses(self.noise, self.edges - self.shift)

    @cached_property
    def values(self) -> Floats:
        """l of each cell, shape (CELLS,)."""
        without, with_canary = self.masses
        ratios: Floats = np.log(with_canary) - np.log(without)
        return ratios

    def of_coordinates(self, released: Floats) -> Floats:
        """Return s for released values (..., M) in units of the noise's factor."""
        start, width = self.edges[0], self.edges[1] - self.edges[0]
        position = np.clip((released - start) / width + 1, 0, CELLS - 1).astype(np.int64)
        scores: Floats = self.values.take(position).sum(axis=-1)
        return scores

    def of_steps(self, sums: Floats) -> Floats:
        """Return g(s) = log(1 - q + q exp(s)), any shape."""
        scores: Floats = np.log1p(self.sampling_rate * np.expm1(np.minimum(sums, _LARGEST)))
        return scores


def cell_masses(noise: Noise, edges: Floats) -> Floats:
    """Return P(X in cell) for the cells between ``edges`` (n,); the outer cells are open: (n + 1,).

    Each half of the line is computed from its own tail, so that small probabilities keep their digits.
    """
    tail = np.exp(noise.log_survival(np.abs(edges))) / 2
    ends = np.concatenate([[0.0], tail, [0.0]])
    left = np.concatenate([[True], edges < 0, [False]])
    both_left, both_right = left[:-1] & left[1:], ~left[:-1] & ~left[1:]
    across = np.where(both_right, ends[:-1] - ends[1:], 1 - ends[:-1] - ends[1:])
    masses: Floats = np.where(both_left, ends[1:] - ends[:-1], across)
    return masses
