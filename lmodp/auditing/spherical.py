"""The score of a step with spherical noise: its coordinates share one norm, so a whole vector decides.

The canary moves the first coordinate by Delta. The log-likelihood ratio of a released vector y is

    (|y|^p - |y - Delta e_1|^p) / scale^p,

which is a function of the noise's norm and of its first coordinate alone. So a step needs three random numbers for any
dimension, and no law is tabulated.
"""

from dataclasses import dataclass

import numpy as np

from lmodp.auditing.likelihood import CanaryScore
from lmodp.mechanisms import Spherical
from lmodp.mechanisms.arrays import Floats

LAW = (
    "each step's noise is drawn by its norm and its first coordinate, which decide the log-likelihood ratio of a "
    "canary in that coordinate; exact up to the digits of a double"
)


@dataclass(frozen=True)
class SphericalLaw:
    """Draws scores as `lmodp.auditing.likelihood.StepLaw` does; the score's noise is spherical, its coordinates 1."""

    score: CanaryScore

    def draw(self, *, trials: int, steps: int, included: bool, generator: np.random.Generator) -> Floats:
        """Return the scores of ``trials`` transcripts of ``steps`` steps, (trials,)."""
        noise, shift, rate = self.score.noise, self.score.relative_sensitivity, self.score.sampling_rate
        assert isinstance(noise, Spherical)
        found = np.zeros(trials)
        for _ in range(steps):
            norm, first = _norm_and_first(noise, trials, generator)
            moved = shift * (generator.random(trials) < rate) if included else np.zeros(trials)
            with_canary = np.sqrt(np.maximum(norm**2 + 2 * moved * first + moved**2, 0.0))  # |y|
            left = moved - shift  # y - Delta e_1 is the noise moved by this
            without = np.sqrt(np.maximum(norm**2 + 2 * left * first + left**2, 0.0))
            ratio = (with_canary / noise.scale) ** noise.power - (without / noise.scale) ** noise.power
            found += self.score.of_steps(ratio)
        return found


def _norm_and_first(noise: Spherical, count: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Return norms of independent draws of the noise, and their first coordinates."""
    norm = noise.scale * generator.standard_gamma(noise.dimension / noise.power, count) ** (1 / noise.power)
    normal, others = generator.standard_normal(count), generator.chisquare(noise.dimension - 1, count)
    return norm, norm * normal / np.sqrt(normal**2 + others)
