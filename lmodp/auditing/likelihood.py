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

The law of s needs one random number per step for any M: rounding each l(y_i) to a lattice of pitch h leaves a statistic
of the transcript, s' = sum_i h round(l(y_i)/h), whose law is the M-fold convolution of a lattice law. With the canary
in the data, a step is drawn from (1 - q) law_out + q law_in. Not exact are the FFT's rounding and the cut of the far
tails (together below 1e-9 of probability per step, even at M = 1000), and the 53 bits of the uniform that indexes the
alias table. The device's sampler is not tried here, but by `lmodp.training.probes.draw_scores`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from lmodp.errors import Unsupported, require
from lmodp.mechanisms import Noise
from lmodp.mechanisms.arrays import Floats

CELLS = 1 << 16
_TAIL = 1e-5  # P(|X| beyond the inner cells); there is one cell on each side
_LARGEST, _LEAST = 600.0, 1e-300  # exp of the one is still a double; masses below the other have lost their digits
_WIDEST = 1 << 26  # points of the lattice of a sum
LAW = (
    "each step's log-likelihood ratio is drawn from its law: the M-fold convolution of the lattice law of one "
    "coordinate's ratio, (1-q) of the law without the canary and q of the law with it; exact for the statistic "
    "of ratios rounded to the lattice, which is a function of the transcript, up to numerical error below 1e-9 a step"
)
_PITCHES_PER_DEVIATION = 16  # M roundings add h sqrt(M/12) to the sum's deviation: 3e-4 of the information
_BLOCK = 1 << 14
_NEGLIGIBLE = 1e-15  # a hundred times the rounding error of the FFT


@dataclass(frozen=True, kw_only=True)
class CanaryScore:
    """Scores of transcripts in which a canary may take part.

    ``noise`` is the law of one coordinate in units of the noise's factor, ``relative_sensitivity`` Delta > 0 in those
    units, ``coordinates`` M >= 1, ``sampling_rate`` q in (0, 1].
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
        ratios: Floats = np.log(np.maximum(with_canary, _LEAST)) - np.log(np.maximum(without, _LEAST))
        return ratios  # where a world has no mass: the most that doubles tell; any function of a transcript is a score

    def of_coordinates(self, released: Floats) -> Floats:
        """Return s for released values (..., M) in units of the noise's factor."""
        start, width = self.edges[0], self.edges[1] - self.edges[0]
        position = np.clip((released - start) / width + 1, 0, CELLS - 1).astype(np.int64)
        scores: Floats = self.values.take(position).sum(axis=-1)
        return scores

    def of_steps(self, sums: Floats) -> Floats:
        """Return g(s) = log(1 - q + q exp(s)), any shape."""
        capped: Floats = np.minimum(sums, _LARGEST)
        return np.log1p(self.sampling_rate * np.expm1(capped)) if self.sampling_rate < 1 else capped


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


@dataclass(frozen=True, eq=False)
class StepLaw:
    """Law of a step's lattice score.

    ``points`` are the values g(s'), ``without`` and ``with_canary`` their probabilities in the two worlds (the second
    includes the steps that the canary misses), (n,) each.
    """

    score: CanaryScore

    @cached_property
    def _lattice(self) -> tuple[Floats, Floats, Floats]:
        score, m = self.score, self.score.coordinates
        without, with_canary = score.masses
        if m == 1:  # the cells themselves, without rounding
            return score.of_steps(score.values), without, with_canary
        deviation = math.sqrt(float(without @ score.values**2) * m)
        pitch = deviation / (_PITCHES_PER_DEVIATION * math.sqrt(m))
        step = np.round(score.values / pitch).astype(np.int64)
        low, width = int(step.min()), int(step.max() - step.min()) + 1
        if width * m > _WIDEST:
            raise Unsupported(f"{m:,} coordinates with log-likelihood ratios up to {np.abs(score.values).max():.3g}")
        first, second = (
            _power(np.bincount(step - low, weights=mass, minlength=width).astype(np.float64), m)
            for mass in (without, with_canary)
        )
        reached = np.flatnonzero(np.maximum(first, second) > _NEGLIGIBLE)
        present = slice(reached[0], reached[-1] + 1)
        sums = (np.arange(len(first), dtype=np.float64) + m * low)[present] * pitch
        return score.of_steps(sums), _normal(first[present]), _normal(second[present])

    @property
    def points(self) -> Floats:
        """Values of g(s')."""
        return self._lattice[0]

    @property
    def without(self) -> Floats:
        """Probabilities where the canary is not in the data."""
        return self._lattice[1]

    @property
    def with_canary(self) -> Floats:
        """Probabilities where it is in the data and sampled with probability q."""
        q = self.score.sampling_rate
        return (1 - q) * self._lattice[1] + q * self._lattice[2]

    @cached_property
    def _tables(self) -> dict[bool, tuple[Floats, Floats, Floats]]:
        return {True: _alias(self.with_canary, self.points), False: _alias(self.without, self.points)}

    def draw(self, *, trials: int, steps: int, included: bool, generator: np.random.Generator) -> Floats:
        """Return the scores of ``trials`` transcripts of ``steps`` steps, (trials,)."""
        keep, stay, move = self._tables[included]
        found = np.zeros(trials)
        for start in range(0, trials, _BLOCK):
            block = found[start : start + _BLOCK]
            for _ in range(steps):
                position = generator.random(len(block)) * len(keep)
                index = position.astype(np.int64)
                block += np.where(position - index < keep[index], stay[index], move[index])
        return found


def _power(mass: Floats, times: int) -> Floats:
    """Return the law of the sum of ``times`` independent lattice variables."""
    length = times * (len(mass) - 1) + 1
    size = next_fast_len(length, real=True)
    found: Floats = np.maximum(irfft(rfft(mass, size) ** times, size)[:length], 0.0)
    return found


def _normal(mass: Floats) -> Floats:
    return mass / float(mass.sum())


def _alias(mass: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Return Walker's alias table: cell i gives points[i] with probability keep[i], else another point.

    References:
        Vose, IEEE Trans. Software Engineering 17 (1991).
    """
    keep, other = mass * len(mass), np.arange(len(mass))
    small, large = list(np.flatnonzero(keep < 1)), list(np.flatnonzero(keep >= 1))
    while small and large:
        low, high = small.pop(), large[-1]
        other[low] = high
        keep[high] -= 1 - keep[low]
        if keep[high] < 1:
            small.append(large.pop())
    keep[small + large] = 1.0
    return keep, points, points[other]
