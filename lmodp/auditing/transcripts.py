"""Scores of released transcripts: how strongly the noisy sums of a run show each canary.

Each canary has its own direction, in which no other example has a gradient. In that direction the released value is the
noise, plus the canary's gradient in the steps that sampled it. There are three statistics; the second and third are for
faults that the first finds badly:

- ``likelihood``: the log-likelihood ratio of the certified plan, the best statistic if the run is correct;
- ``repeats``: the number of steps after which the released value changed by exactly the canary's gradient. With
  independent noise this practically never happens; if noise is used twice, it happens whenever the canary is sampled in
  one of the two steps only. The likelihood ratio would not show this;
- ``largest``: the largest absolute value released, which shows canaries that were not
  clipped; the likelihood ratio of bounded gradients levels off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from lmodp.auditing.checks import fair_coins, finite_scores
from lmodp.auditing.likelihood import CanaryScore, StepLaw
from lmodp.errors import require
from lmodp.mechanisms.arrays import Booleans, Floats, Integers

STATISTICS = ("likelihood", "repeats", "largest")
REFERENCE = 20_000
FIT_FALSE_ALARM = 1e-6
_TOLERANCE = 1e-3  # of the canary's gradient; float32 sums are a hundred times more accurate


def score_releases(released: Floats, score: CanaryScore) -> Floats:
    """Return the statistics of m canaries, (m, 3) in the order of `STATISTICS`.

    ``released`` are noisy sums in the canaries' directions, (T, m), in units of the noise's factor, else
    `InvalidValue`; ``score`` is of one coordinate (M = 1).
    """
    released = finite_scores("released", released)
    likelihood = score.of_steps(score.of_coordinates(released[..., None])).sum(axis=0)
    change = np.abs(np.diff(released, axis=0))
    repeats = (np.abs(change - score.shift) < _TOLERANCE * score.shift).sum(axis=0)
    return np.stack([likelihood, repeats.astype(np.float64), np.abs(released).max(axis=0)], axis=1)


def participations(released: Floats, coefficients: Sequence[float], groups: Integers) -> Floats:
    """Return what banded releases show of each participation of each canary, (participations, m).

    C times the released sums (T, m) has independent noise and a canary's ``coefficients`` (c_0, ..., c_(b-1)) in the b
    rows of a participation; the sum of these rows weighted by c has the law of one row where the noise is Gaussian, and
    the canary's gradient. Participations that the run's end cuts short are left out; what is left shows less, so that a
    bound holds. ``groups`` (m,) is the group of each canary.
    """
    bands, count = len(coefficients), (len(released) - len(coefficients) + 1) // len(coefficients)
    rows = np.stack([np.convolve(column, coefficients)[: len(released)] for column in released.T], axis=1)
    first = groups + bands * np.arange(count)[:, None]
    found: Floats = sum(c * rows[first + j, np.arange(len(groups))] for j, c in enumerate(coefficients))
    return found


@dataclass(frozen=True, eq=False)
class Reference:
    """Likelihood scores of the certified mechanism in both worlds, (`REFERENCE`,) each."""

    included: Floats
    excluded: Floats


def reference_scores(score: CanaryScore, *, steps: int, seed: int) -> Reference:
    """Draw the reference scores from the law of the plan as certified."""
    law, generator = StepLaw(score), np.random.Generator(np.random.Philox(seed))
    worlds = [law.draw(trials=REFERENCE, steps=steps, included=world, generator=generator) for world in (True, False)]
    return Reference(*worlds)


def fit_to_reference(coins: Booleans, likelihood: Floats, reference: Reference) -> dict[str, float | bool]:
    """Compare a run's likelihood scores (m,) with the certified mechanism's, world by world; ``coins`` (m,) tell the
    world.

    A bound on epsilon is one-sided: it cannot show that a canary was sampled by another rule, or that the noise is too
    large. This test can. It assumes that the canaries' scores are independent, which is true if the run is as
    certified.

    Returns:
        Kolmogorov-Smirnov p-values of both worlds; ``fits`` is false if one is below `FIT_FALSE_ALARM`. For a correct
        run this happens with about twice that probability at most: the p-values are asymptotic.

    Raises:
        InvalidValue: coins other than True and False (or 1 and 0), or scores that are no finite numbers.
    """
    coins, likelihood = fair_coins(coins), finite_scores("likelihood", likelihood)
    require(likelihood.shape == coins.shape, "likelihood", likelihood.shape, f"must have the shape {coins.shape}")
    worlds = {"included": (likelihood[coins], reference.included), "excluded": (likelihood[~coins], reference.excluded)}
    found = {
        f"p_value_{name}": float(ks_2samp(seen, known, method="asymp").pvalue) if len(seen) else 1.0
        for name, (seen, known) in worlds.items()
    }
    return {**found, "false_alarm": 2 * FIT_FALSE_ALARM, "fits": min(found.values()) >= FIT_FALSE_ALARM}
