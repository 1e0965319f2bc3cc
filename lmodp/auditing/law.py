"""The law of a step's score, and trials drawn from it: one random number per step for any number M of coordinates.

Rounding each coordinate's log-likelihood ratio to a lattice of pitch h leaves a statistic of the transcript, s' = sum_i
h round(l(y_i)/h), whose law is known: the M-fold convolution of a lattice law, whose masses are sums of exact cell
probabilities. With the canary in the data, a step is drawn from (1 - q) law_out + q law_in. Not exact are the FFT's
rounding and the cut of the far tails (together below 1e-9 of probability per step, even at M = 1000), and the 53 bits
of the uniform that indexes the alias table. The device's sampler is not tried here, but in
`lmodp.training.probes.audit_samples`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from lmodp.auditing.likelihood import CanaryScore
from lmodp.mechanisms.arrays import Floats

LAW = (
    "each step's log-likelihood ratio is drawn from its law: the M-fold convolution of the lattice law of one "
    "coordinate's ratio, (1-q) of the law without the canary and q of the law with it; exact for the statistic "
    "of ratios rounded to the lattice, which is a function of the transcript, up to numerical error below 1e-9 a step"
)
_PITCHES_PER_DEVIATION = 16  # M roundings add h sqrt(M/12) to the sum's deviation: 3e-4 of the information
_BLOCK = 1 << 14
_NEGLIGIBLE = 1e-15  # a hundred times the rounding error of the FFT


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
