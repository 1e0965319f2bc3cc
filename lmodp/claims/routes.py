"""Two independent routes to the epsilon of a claim's mechanism. Each gives what it can prove."""

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from scipy.stats import binom

from lmodp.accounting.neighbours import group_epsilon, group_interval, replaced_interval
from lmodp.accounting.shuffling import epoch_counts, epoch_shift, shuffled_interval
from lmodp.accounting.verified import verified_run
from lmodp.auditing.bounds import bound_from_scores
from lmodp.auditing.likelihood import CanaryScore, StepLaw
from lmodp.auditing.spherical import SphericalLaw
from lmodp.claims.mechanism import Mechanism
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Noise

LIBRARY = "dp-accounting, privacy loss distribution"
_TRIALS, _FEWEST_TRIALS, _MOST_DRAWS = 100_000, 100, 100_000_000
_MOST_STEPS = 1_000_000  # of the library, which takes minutes or all memory for more
_COORDINATES = 16
_COARSE = 2e-3  # of groups: each loss of a mixture is a root, which takes a hundred times as long


@dataclass(frozen=True, kw_only=True)
class Route:
    """What one route finds: an end is None where the route has none.

    Args:
        name, how: of the route, for readers.
        lower, upper: bounds of epsilon of the whole run.
        proven: whether the ends count for the verdict; others are a second opinion and must not contradict. The
            library's by Fourier transforms never count: their rounding is not bounded here.
        confidence: probability of at least which a sampled lower end holds.
    """

    name: str
    how: str
    lower: float | None
    upper: float | None
    proven: bool = True
    confidence: float | None = None


def routes_of(asked: Mechanism) -> list[Route]:
    """Return the routes for a mechanism.

    Raises:
        Unsupported: no sound bound is known here for what is asked.
    """
    if asked.fewest_steps < asked.run["steps"] and asked.sampler != "shuffled":
        counts = asked.run["steps"], asked.fewest_steps
        most, fewest = (
            routes_of(replace(asked, run={**asked.run, "steps": steps}, fewest_steps=steps)) for steps in counts
        )
        return [replace(route, lower=other.lower) for route, other in zip(most, fewest, strict=True)]
    gaussian = isinstance(asked.weak, Gaussian)
    replaced, group = asked.adjacency == "replace_one", asked.group_size > 1
    if asked.further or group or asked.sampler == "shuffled" or (replaced and asked.sampler != "full_batch"):
        return _gaussian_routes(asked, replaced)
    if replaced or asked.sampler == "fixed_size":
        # The sum moves by up to 2: two examples change places with the one that leaves a fixed-size batch.
        halved = asked.weak.scaled(0.5), asked.strong.scaled(0.5)
        asked = replace(asked, weak=halved[0], strong=halved[1], adjacency="add_or_remove_one")
    if gaussian:
        return [suite_route(asked), library_route(asked)]
    if asked.a_step > 1:  # each release has its own bound, so the sensitivity is not attained in every direction
        return [replace(suite_route(asked), lower=None), renyi_route(asked)]
    return [suite_route(asked), renyi_route(asked), audit_route(asked)]


def _gaussian_routes(asked: Mechanism, replaced: bool) -> list[Route]:
    special = [bool(asked.further), asked.group_size > 1, replaced or asked.sampler not in ("poisson", "full_batch")]
    if not isinstance(asked.weak, Gaussian) or sum(special) > 1:
        parts = [f"noise = {asked.weak.family}", f"sampler = {asked.sampler}", f"adjacency = {asked.adjacency}"]
        parts += [f"group_size = {asked.group_size}", f"further = {len(asked.further)}"]
        raise Unsupported(f"{', '.join(parts)}: no sound bound is known here for these together")
    if asked.further:
        return [parts_route(asked), library_renyi_route(asked), library_route(asked)]
    if asked.group_size > 1:
        return [group_route(asked), library_route(asked)]
    if asked.sampler == "shuffled":
        return [shuffled_route(asked), epochs_route(asked)]
    if asked.sampler == "fixed_size":
        return [replaced_route(asked), library_renyi_route(asked)]
    return [replaced_route(asked), chain_route(asked), library_route(asked)]


def suite_route(asked: Mechanism) -> Route:
    """Return the verified interval (docs/verified_bounds.md)."""
    upper = verified_run(asked.weak, dimension=asked.dimension, full=True, **asked.run)
    lower = verified_run(asked.strong, dimension=asked.dimension, full=True, **asked.run)
    words = {
        "rdp": "Rényi divergences",
        "pld": "privacy loss on a lattice",
        "pure": "largest losses",
        "domination": "a dominating Gaussian",
    }
    both = "both ends by privacy loss on a lattice"
    how = both if upper.route == "pld" else f"upper end by {words[upper.route]}, lower end by {words['pld']}"
    return Route(name="lmodp, verified", how=how, lower=lower.lower, upper=_finite(upper.upper))


def renyi_route(asked: Mechanism) -> Route:
    """Return the upper end by Rényi divergences alone, which shares nothing with the domination."""
    found = verified_run(asked.weak, dimension=asked.dimension, **asked.run).upper_rdp
    return Route(name="lmodp, Rényi", how="Rényi divergences of the worst shift", lower=None, upper=_finite(found))


def library_route(asked: Mechanism) -> Route:
    """Return both ends by the accounting library, for Gaussian noise.

    How many of a group are sampled is binomial, and this mixture of Gaussians dominates (Ganesh, arXiv 2401.10294).
    """
    delta, size = asked.run["delta"], asked.group_size
    if sum(steps for *_, steps in _releases(asked, asked.weak)) > _MOST_STEPS:
        return Route(name=LIBRARY, how="none: too many steps for it", lower=None, upper=None, proven=False)
    lower, upper = (
        _by_library(_releases(asked, noise), delta, upper=end, group=size, adjacency=asked.adjacency)
        for noise, end in ((asked.strong, False), (asked.weak, True))
    )
    how = "connected dots above, buckets rounded down below"
    return Route(name=LIBRARY, how=how, lower=lower, upper=upper, proven=False)


def group_route(asked: Mechanism) -> Route:
    """Return both ends where several examples are added or removed."""
    lower, upper = (
        group_interval(_gaussian(noise), size=asked.group_size, **asked.run) for noise in (asked.strong, asked.weak)
    )
    how = f"privacy loss on a lattice, {asked.group_size} examples"
    return Route(name="lmodp, groups", how=how, lower=lower.lower, upper=_finite(upper.upper))


def parts_route(asked: Mechanism) -> Route:
    """Return the largest lower end of one kind of releases alone: the others only add to it."""
    delta = asked.run["delta"]
    lower = [
        verified_run(Gaussian(std=std), full=True, sampling_rate=rate, steps=steps, delta=delta).lower
        for std, rate, steps in _releases(asked, asked.strong)
    ]
    return Route(name="lmodp, verified", how="one kind of releases alone", lower=max(lower), upper=None)


def chain_route(asked: Mechanism) -> Route:
    """Return the upper end for a replacement from that for one change: it is a removal and an addition."""

    rate, steps = asked.run["sampling_rate"], asked.run["steps"]

    def one(delta: float) -> float:
        return verified_run(asked.weak, full=True, sampling_rate=rate, steps=steps, delta=delta).upper

    found = group_epsilon(one, size=2, delta=asked.run["delta"])
    return Route(name="lmodp, chain", how="a removal, then an addition", lower=None, upper=_finite(found))


def replaced_route(asked: Mechanism) -> Route:
    """Return both ends where an example is replaced."""
    fixed = asked.sampler == "fixed_size"
    lower, upper = (
        replaced_interval(_gaussian(noise), fixed_size=fixed, **asked.run) for noise in (asked.strong, asked.weak)
    )
    how = "privacy loss on a lattice, one example replaced"
    return Route(name="lmodp, neighbours", how=how, lower=lower.lower, upper=_finite(upper.upper))


def shuffled_route(asked: Mechanism) -> Route:
    """Return what is known of shuffled batches."""
    swap = asked.adjacency == "replace_one"
    lower, upper = (
        shuffled_interval(_gaussian(noise), replace_one=swap, epochs=asked.epochs, **asked.run)
        for noise in (asked.strong, asked.weak)
    )
    how = "upper end without amplification, lower end by the largest sum of each uniformly shuffled epoch"
    return Route(name="lmodp, shuffling", how=how, lower=lower.lower, upper=_finite(upper.upper))


def epochs_route(asked: Mechanism) -> Route:
    """Return the upper end of shuffled batches by the library: one release without sampling an epoch."""
    rate, steps = asked.run["sampling_rate"], asked.run["steps"]
    _, epochs = epoch_counts(sampling_rate=rate, steps=steps, epochs=asked.epochs)
    std = asked.weak.std / epoch_shift(replace_one=asked.adjacency == "replace_one")
    upper = _by_library([(std, 1.0, epochs)], asked.run["delta"], upper=True)
    return Route(name=LIBRARY, how=f"{epochs} releases without sampling", lower=None, upper=upper, proven=False)


def _gaussian(noise: Noise) -> Gaussian:
    assert isinstance(noise, Gaussian)
    return noise


def library_renyi_route(asked: Mechanism) -> Route:
    """Return the library's upper end by Rényi divergences, for Gaussian noise.

    Of batches without replacement it is that of Wang, Balle and Kasiviswanathan (2019).
    """
    from dp_accounting import (
        GaussianDpEvent,
        NeighboringRelation,
        PoissonSampledDpEvent,
        SampledWithoutReplacementDpEvent,
    )
    from dp_accounting.rdp import RdpAccountant

    if asked.sampler == "fixed_size":
        known, parts = RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_ONE), 10**9
        batch, event = math.ceil(asked.run["sampling_rate"] * parts), GaussianDpEvent(asked.weak.std / 2)
        known.compose(SampledWithoutReplacementDpEvent(parts, batch, event), asked.run["steps"])
    else:
        known = RdpAccountant()
        for multiplier, rate, steps in _releases(asked, asked.weak):
            known.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(multiplier)), steps)
    upper = _finite(known.get_epsilon(asked.run["delta"]))
    return Route(name="dp-accounting, Rényi", how="its customary orders", lower=None, upper=upper)


def _releases(asked: Mechanism, noise: Noise) -> list[tuple[float, float, int]]:
    """Return noise multiplier, sampling rate and steps of each kind of Gaussian release."""
    return [(noise.std, asked.run["sampling_rate"], asked.run["steps"]), *asked.further]


def _by_library(
    releases: list[tuple[float, float, int]],
    delta: float,
    *,
    upper: bool,
    group: int = 1,
    adjacency: str = "add_or_remove_one",
) -> float | None:
    """Return the library's epsilon of Gaussian releases (noise multiplier, sampling rate, steps) composed."""
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution as library

    settings: dict[str, Any] = {
        "pessimistic_estimate": upper,
        "value_discretization_interval": _interval(releases, group, upper),
        "use_connect_dots": upper,
    }
    composed = []
    for std, rate, steps in releases:
        if group == 1:
            relation = NeighboringRelation[adjacency.upper()]
            loss = library.from_gaussian_mechanism(std, sampling_prob=rate, neighboring_relation=relation, **settings)
        else:
            shifts = range(group + 1)
            loss = library.from_mixture_gaussian_mechanism(std, shifts, binom.pmf(shifts, group, rate), **settings)
        composed.append(loss.self_compose(steps))
    return _finite(reduce(lambda one, other: one.compose(other), composed).get_epsilon_for_delta(delta))


def _interval(releases: list[tuple[float, float, int]], group: int, upper: bool) -> float:
    """Width of the discretised losses: rounding down loses up to one width a step, connecting dots far less.

    It is larger where a release has large losses, which would take too many widths.
    """
    steps, largest = sum(steps for *_, steps in releases), group / min(std for std, *_ in releases)
    usual = _COARSE if group > 1 else 1e-4 if upper else float(np.clip(0.05 / steps, 1e-5, 1e-4))
    return usual * max(1.0, largest / 2) ** 2


def audit_route(asked: Mechanism) -> Route:
    """Return a lower bound from samples of the mechanism's law, by a test that shares no accountant.

    A bound at a larger delta holds at the claim's, where epsilon can only be larger.
    """
    steps, rate = asked.run["steps"], asked.run["sampling_rate"]
    trials = min(_TRIALS, _MOST_DRAWS // steps)
    if trials < _FEWEST_TRIALS:
        return Route(name="lmodp, audit", how="none: too many steps to draw", lower=None, upper=None, proven=False)
    alone = asked.strong.independent
    coordinates = min(asked.dimension or _COORDINATES, _COORDINATES) if alone else 1
    score = CanaryScore(noise=asked.strong, relative_sensitivity=1.0, coordinates=coordinates, sampling_rate=rate)
    law, generator = (StepLaw if alone else SphericalLaw)(score), np.random.Generator(np.random.Philox(0))
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
