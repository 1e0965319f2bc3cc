"""The ranges of a run's values, checked by every accountant."""

from typing import TypedDict

from lmodp.errors import require
from lmodp.mechanisms import Noise, require_sound_law
from lmodp.plan import Plan

_SENSITIVITIES = 1e-60, 1e60


class Run(TypedDict):
    """The values of a run that every accountant takes as keywords: q, T and delta."""

    sampling_rate: float
    steps: int
    delta: float


def unit_noise(plan: Plan) -> Noise:
    """Return the plan's noise, scaled so that the sensitivity is 1.

    Raises:
        InvalidValue: a sensitivity so far from 1 that doubles do not hold what follows, or as `Noise.scaled`.
        Unsupported: as `require_sound_law`.
    """
    sensitivity, (smallest, largest) = plan.relative_sensitivity, _SENSITIVITIES
    rule = f"must be between {smallest:g} and {largest:g}"
    require(smallest <= sensitivity <= largest, "relative_sensitivity", sensitivity, rule)
    require_sound_law(plan.given_noise)
    return plan.given_noise.scaled(1 / sensitivity)


def require_run(*, sampling_rate: float, steps: int, delta: float, dimension: int | None = None) -> None:
    """Raise an error if a run's rate, steps, delta or dimension is outside its range.

    Raises:
        InvalidValue: sampling_rate not in (0, 1], steps or dimension below 1, delta not in (0, 1).
    """
    require(0 < sampling_rate <= 1, "sampling_rate", sampling_rate, "must be in (0, 1]")
    require(steps >= 1, "steps", steps, "must be at least 1")
    require(0 < delta < 1, "delta", delta, "must be in (0, 1)")
    require(dimension is None or dimension >= 1, "dimension", dimension, "must be at least 1, or left out for many")
