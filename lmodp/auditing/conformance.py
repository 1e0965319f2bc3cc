"""Conformance: did what ran match what was certified?

A certificate speaks of a plan: rate, steps, clip norm, clipping, noise. The run
recorded what it did. Fields that are set are compared exactly; fields that are
drawn (batch sizes, noise) are tested at a false-alarm probability of at most
`FALSE_ALARM` each, so that an honest run practically never fails and a wrong rate
or scale practically always does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import binom

from lmodp.plan import Plan
from lmodp.vocabulary import OWN_ENGINE

FALSE_ALARM = 1e-9


@dataclass(frozen=True)
class Check:
    """One comparison: what was certified, what ran, and whether they agree."""

    name: str
    certified: Any
    ran: Any
    agrees: bool


def compare_run(certified: Plan, ran: Mapping[str, Any], *, engine: str = OWN_ENGINE) -> dict[str, Any]:
    """Compare a run's conformance record with its certified plan.

    Args:
        certified: the plan that the certificate was made for, with the run's clip norm.
        ran: the run's line in ``training.jsonl``.
        engine: what trained it.

    Returns:
        ``conforms``, every check, and the first disagreement as ``reason``.

    Guarantees:
        * A run that used another rate, number of steps, clip norm, clipping rule,
          divisor or noise law does not conform.
        * A sampler of another rate, or one that shuffles instead of sampling, and
          noise of another scale are found by statistics of what was drawn.
        * The noise of another engine is judged by sums it released with all
          gradients zero, not by what it says.

    Edge cases:
        ==================  ====================================================
        not private         noise null on both sides; rate and steps are compared
        fewer steps drawn   a disagreement in ``steps``
        ==================  ====================================================
    """
    checks = [*_set_fields(certified, ran), *_drawn_fields(certified, ran, engine)]
    wrong = next((check for check in checks if not check.agrees), None)
    reason = None if wrong is None else f"{wrong.name}: certified {wrong.certified!r}, ran {wrong.ran!r}"
    return {"conforms": wrong is None, "reason": reason, "checks": [asdict(check) for check in checks]}


def _set_fields(certified: Plan, ran: Mapping[str, Any]) -> Iterable[Check]:
    stated = certified.to_dict()
    for name in ("sampling_rate", "steps", "dataset_size", "clip_norm", "clipping", "noise", "sampler", "adjacency"):
        yield Check(name, stated[name], ran[name], stated[name] == ran[name])
    batch = certified.expected_batch_size
    yield Check("divisor", batch, ran["divisor"], math.isclose(batch, ran["divisor"], rel_tol=1e-12))
    if certified.private:
        scale = certified.effective_noise_scale
        yield Check("noise_scale", scale, ran["noise_scale"], scale == ran["noise_scale"])


def _drawn_fields(certified: Plan, ran: Mapping[str, Any], engine: str) -> Iterable[Check]:
    drawn, rate, size = ran["batches"], certified.sampling_rate, certified.dataset_size or 0
    yield Check("number of batches", certified.steps, drawn["steps"], drawn["steps"] == certified.steps)
    if drawn["steps"]:
        yield total_check(drawn, rate, size)
        yield dispersion_check(drawn, rate, size)
        yield repeats_check(drawn, rate, size)
    if certified.private:
        yield from _noise_checks(ran["noise_measured"])
        if engine != OWN_ENGINE:
            yield from released_law_checks(ran.get("released_law"))


def total_check(drawn: Mapping[str, int], sampling_rate: float, dataset_size: int) -> Check:
    """The examples drawn in all steps are binomial with T*N trials and rate q.

    Args:
        drawn: `lmodp.records.runs.batch_summary` of the run.
        sampling_rate, dataset_size: q and N.
    """
    low, high = binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], drawn["steps"] * dataset_size, sampling_rate)
    agrees = bool(low <= drawn["examples"] <= high)
    return Check("examples drawn", [int(low), int(high)], drawn["examples"], agrees)


def dispersion_check(drawn: Mapping[str, int], sampling_rate: float, dataset_size: int) -> Check:
    """Poisson batches vary; a shuffled epoch, or sampling a fixed number, gives sizes too equal.

    The statistic is S = sum over steps of (size - c)^2, c the whole number nearest
    the expected size. Its exact law under Poisson sampling gives the probability
    of a sum as small as the one seen.
    """
    steps, seen, centre = drawn["steps"], drawn["squares"], round(sampling_rate * dataset_size)
    expected = steps * dataset_size * sampling_rate * (1 - sampling_rate)
    chance = 1.0 if seen >= expected / 2 else _chance_of_sum(seen, centre, steps, sampling_rate, dataset_size)
    agrees = chance >= FALSE_ALARM or sampling_rate == 1
    return Check("batch sizes vary, sum of squares", round(expected, 3), seen, agrees)


def repeats_check(drawn: Mapping[str, int], sampling_rate: float, dataset_size: int) -> Check:
    """No size comes too often: an epoch cut into equal batches differs in the last one only.

    The probability that some size comes at least as often as the commonest one did
    is at most the sum over sizes of binomial tails.
    """
    most = drawn["commonest"]
    share = binom.pmf(np.arange(dataset_size + 1), dataset_size, sampling_rate)
    chance = float(binom.sf(most - 1, drawn["steps"], share).sum())
    agrees = chance >= FALSE_ALARM or sampling_rate == 1
    return Check("commonest batch size, times", f"chance >= {FALSE_ALARM:g}", most, agrees)


def _chance_of_sum(limit: int, centre: int, steps: int, sampling_rate: float, dataset_size: int) -> float:
    """P(sum of ``steps`` independent squares <= ``limit``), by truncated convolution powers."""
    reach = math.isqrt(limit)
    sizes = np.arange(max(0, centre - reach), min(dataset_size, centre + reach) + 1)
    law = np.zeros(limit + 1)
    np.add.at(law, (sizes - centre) ** 2, binom.pmf(sizes, dataset_size, sampling_rate))
    total = np.zeros(limit + 1)
    total[0] = 1.0
    while steps:
        if steps & 1:
            total = fftconvolve(total, law)[: limit + 1]
        law = fftconvolve(law, law)[: limit + 1]
        steps >>= 1
    return float(total.sum())


def released_law_checks(law: Mapping[str, Any] | None) -> Iterable[Check]:
    """The law of what another engine releases when all gradients are zero is the certified noise.

    Args:
        law: ``released_law`` of the run, measured by the suite; None where the
            engine released nothing, which is a disagreement.
    """
    if law is None:
        yield Check("released sums of zero gradients", "measured", None, False)
        return
    tolerance = law["distance_tolerance"]
    yield Check(
        "law of released sums, distance from the noise", [0.0, tolerance], law["distance"], law["distance"] <= tolerance
    )
    share, tolerance = law["share_positive"], law["share_positive_tolerance"]
    yield Check("share of positive released numbers", [0.5, tolerance], share, abs(share - 0.5) <= tolerance)


def _noise_checks(measured: Mapping[str, Any]) -> Iterable[Check]:
    yield Check(
        "share of noise below its median",
        [0.5, measured["share_below_median_tolerance"]],
        measured["share_below_median"],
        abs(measured["share_below_median"] - 0.5) <= measured["share_below_median_tolerance"],
    )
    if measured["mean_abs_ratio"] is not None:
        yield Check(
            "mean absolute noise, ratio to certified",
            [1.0, measured["mean_abs_ratio_tolerance"]],
            measured["mean_abs_ratio"],
            abs(measured["mean_abs_ratio"] - 1) <= measured["mean_abs_ratio_tolerance"],
        )
