"""Two independent routes to the epsilon of a claim's mechanism. Each gives what it can prove."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from lmodp.accounting.verified import verified_run
from lmodp.auditing.bounds import bound_from_scores
from lmodp.auditing.law import StepLaw
from lmodp.auditing.likelihood import CanaryScore
from lmodp.claims.mechanism import Mechanism
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Noise

LIBRARY = "dp-accounting, privacy loss distribution"
_TRIALS, _MOST_DRAWS = 100_000, 100_000_000
_COORDINATES = 16


@dataclass(frozen=True, kw_only=True)
class Route:
    """What one route finds: an end is None where the route has none.

    Args:
        name, how: of the route, for readers.
        lower, upper: bounds of epsilon of the whole run.
        proven: whether the ends count for the verdict; others only must not contradict.
        confidence: probability of at least which a sampled lower end holds.
    """

    name: str
    how: str
    lower: float | None
    upper: float | None
    proven: bool = True
    confidence: float | None = None


def routes_of(asked: Mechanism) -> list[Route]:
    """Return the routes for a mechanism, the one that the verdict rests on first.

    Raises:
        Unsupported: no sound bound is known here for what is asked.
    """
    known = {"sampler": ("poisson", "full_batch"), "adjacency": ("add_or_remove_one",), "group_size": (1,)}
    for name, values in known.items():
        if getattr(asked, name) not in values:
            raise Unsupported(f"{name} = {getattr(asked, name)!r}: no bound is built in yet")
    gaussian = isinstance(asked.weak, Gaussian)
    if asked.further:
        if not gaussian:
            raise Unsupported("further: releases of another kind are composed with Gaussian noise only")
        return [library_route(asked), library_renyi_route(asked)]
    second = library_route(asked) if gaussian else audit_route(asked)
    return [suite_route(asked), *([] if gaussian else [renyi_route(asked)]), second]


def suite_route(asked: Mechanism) -> Route:
    """Return the verified interval (docs/verified_bounds.md)."""
    upper = verified_run(asked.weak, dimension=asked.dimension, full=True, **asked.run)
    lower = verified_run(asked.strong, dimension=asked.dimension, full=True, **asked.run)
    words = {"rdp": "Rényi divergences", "pld": "privacy loss on a lattice", "domination": "a dominating Gaussian"}
    how = f"upper end by {words[upper.route]}, lower end by privacy loss on a lattice"
    return Route(name="lmodp, verified", how=how, lower=lower.lower, upper=_finite(upper.upper))


def renyi_route(asked: Mechanism) -> Route:
    """Return the upper end by Rényi divergences alone, which shares nothing with the domination."""
    found = verified_run(asked.weak, dimension=asked.dimension, **asked.run).upper_rdp
    return Route(name="lmodp, Rényi", how="Rényi divergences of the worst shift", lower=None, upper=_finite(found))


def library_route(asked: Mechanism) -> Route:
    """Return both ends by the accounting library, for Gaussian noise."""
    delta, how = asked.run["delta"], "connected dots above, buckets rounded down below"
    lower = _by_library(_releases(asked, asked.strong), delta, upper=False)
    return Route(name=LIBRARY, how=how, lower=lower, upper=_by_library(_releases(asked, asked.weak), delta, upper=True))


def library_renyi_route(asked: Mechanism) -> Route:
    """Return the library's upper end by Rényi divergences, for Gaussian noise."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    known = RdpAccountant()
    for multiplier, rate, steps in _releases(asked, asked.weak):
        known.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(multiplier)), steps)
    upper = _finite(known.get_epsilon(asked.run["delta"]))
    return Route(name="dp-accounting, Rényi", how="its customary orders", lower=None, upper=upper)


def _releases(asked: Mechanism, noise: Noise) -> list[tuple[float, float, int]]:
    """Return noise multiplier, sampling rate and steps of each kind of Gaussian release."""
    return [(noise.std, asked.run["sampling_rate"], asked.run["steps"]), *asked.further]


def _by_library(releases: list[tuple[float, float, int]], delta: float, upper: bool) -> float | None:
    from dp_accounting.pld import privacy_loss_distribution as library

    width = _interval(sum(steps for *_, steps in releases), upper)
    losses = (
        library.from_gaussian_mechanism(
            multiplier,
            pessimistic_estimate=upper,
            value_discretization_interval=width,
            sampling_prob=rate,
            use_connect_dots=upper,
        ).self_compose(steps)
        for multiplier, rate, steps in releases
    )
    composed = reduce(lambda one, other: one.compose(other), losses)
    return _finite(composed.get_epsilon_for_delta(delta))


def _interval(steps: int, upper: bool) -> float:
    """Width of the discretised losses: rounding down loses up to one width a step, connecting dots far less."""
    return 1e-4 if upper else float(np.clip(0.05 / steps, 1e-5, 1e-4))


def audit_route(asked: Mechanism) -> Route:
    """Return a lower bound from samples of the mechanism's law, by a test that shares no accountant.

    A bound at a larger delta holds at the claim's, where epsilon can only be larger.
    """
    steps, rate = asked.run["steps"], asked.run["sampling_rate"]
    trials = min(_TRIALS, _MOST_DRAWS // steps)
    coordinates = min(asked.dimension or _COORDINATES, _COORDINATES)
    score = CanaryScore(noise=asked.strong, relative_sensitivity=1.0, coordinates=coordinates, sampling_rate=rate)
    law, generator = StepLaw(score), np.random.Generator(np.random.Philox(0))
    worlds = [
        law.draw(trials=trials // 2, steps=steps, included=included, generator=generator) for included in (True, False)
    ]
    delta = max(asked.run["delta"], 3 / math.sqrt(trials))
    found = bound_from_scores(*worlds, delta=delta, confidence=0.999)
    how = f"audit of {trials:,} transcripts of the law, one worst-case example, at delta {delta:.2g}"
    return Route(
        name="lmodp, audit", how=how, lower=found.epsilon_lower, upper=None, proven=False, confidence=found.confidence
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
