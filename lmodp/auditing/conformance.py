"""Conformance: did the run do what was certified?

A certificate is for a plan: rate, steps, clip norm, clipping, noise. The run records what it did. Fixed fields are
compared exactly. Batch sizes are tested, each test with a false-alarm probability of at most `FALSE_ALARM`; of the
noise, a share and a mean are tested at six deviations, which is 2e-9 where they are normal. So a correct run
practically never fails, and a wrong rate or scale practically always fails.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    """Compare a run's line in ``training.jsonl`` with the plan that was certified, with the run's clip norm.

    Returns ``conforms``, every check, and the first disagreement as ``reason``.

    Guarantees:
        * A run of another rate, number of steps, clip norm, clipping rule, divisor or noise law does not conform.
        * Statistics of the drawn values find a sampler of another rate, one that shuffles, and noise of another scale.
        * Another engine's noise is judged by the sums that it released with all gradients zero, not by what it reports.
    """
    return _judged([*_set_fields(certified, ran), *_drawn_fields(certified, ran, engine)])


def compare_untrained(ran: Mapping[str, Any]) -> dict[str, Any]:
    """Hold a run that trains nothing to it: no step, no example drawn, no number that could have changed."""
    counts = {name: ran[name] for name in ("steps", "trainable_parameters")}
    counts["examples drawn"] = ran["batches"]["examples"]
    return _judged([Check(name, 0, count, count == 0) for name, count in counts.items()])


def _judged(checks: list[Check]) -> dict[str, Any]:
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
    if "releases" in stated or ran.get("releases"):
        what = stated.get("releases"), ran.get("releases")
        yield Check("releases", *what, what[0] == what[1])


def _drawn_fields(certified: Plan, ran: Mapping[str, Any], engine: str) -> Iterable[Check]:
    drawn, rate, size = ran["batches"], certified.sampling_rate, certified.dataset_size or 0
    yield Check("number of batches", certified.steps, drawn["steps"], drawn["steps"] == certified.steps)
    if drawn["steps"]:
        bands = certified.releases.correlation.bands  # of groups that take turns each is smaller, its rate larger
        factors = Counter(certified.releases.schedule.at("batch", step) for step in range(certified.steps))
        yield total_check(drawn, {rate * factor: steps for factor, steps in factors.items()}, size)
        if set(factors) == {1}:  # squares are recorded about the plan's own batch size
            yield dispersion_check(drawn, min(bands * rate, 1.0), round(size / bands))
        yield repeats_check(drawn, [min(bands * rate * factor, 1.0) for factor in factors], round(size / bands))
    if certified.private:
        yield from _noise_checks(ran["noise_measured"])
        if engine != OWN_ENGINE:
            yield from released_law_checks(ran.get("released_law"))


def total_check(drawn: Mapping[str, int], steps_at: Mapping[float, int], dataset_size: int) -> Check:
    """Test that the number of examples drawn is a sum of binomials, with t*N trials for the t steps at each rate."""
    tail = FALSE_ALARM / 2 / len(steps_at)
    ends = [binom.ppf([tail, 1 - tail], steps * dataset_size, rate) for rate, steps in steps_at.items()]
    low, high = np.sum(ends, axis=0)
    agrees = bool(low <= drawn["examples"] <= high)
    return Check("examples drawn", [int(low), int(high)], drawn["examples"], agrees)


def dispersion_check(drawn: Mapping[str, int], sampling_rate: float, dataset_size: int) -> Check:
    """Test that batch sizes vary as under Poisson sampling; shuffled epochs or fixed sizes vary too little.

    The statistic is S = sum over steps of (size - c)^2, where c is the whole number nearest to the expected size. Its
    exact law under Poisson sampling gives the probability of a sum at most as large as the observed one.
    """
    steps, seen, centre = drawn["steps"], drawn["squares"], round(sampling_rate * dataset_size)
    expected = steps * dataset_size * sampling_rate * (1 - sampling_rate)
    chance = 1.0 if seen >= expected / 2 else _chance_of_sum(seen, centre, steps, sampling_rate, dataset_size)
    agrees = chance >= FALSE_ALARM or sampling_rate == 1
    return Check("batch sizes vary, sum of squares", round(expected, 3), seen, agrees)


def repeats_check(drawn: Mapping[str, int], sampling_rates: Sequence[float], dataset_size: int) -> Check:
    """Test that no batch size is too frequent: an epoch cut into equal batches has only one other size.

    The probability that some size is at least as frequent as the observed most frequent
    one is at most the sum of binomial tails over all sizes, at the rate that makes a size most probable.
    """
    most = drawn["commonest"]
    share = binom.pmf(np.arange(dataset_size + 1), dataset_size, np.array(sampling_rates)[:, None]).max(axis=0)
    chance = float(binom.sf(most - 1, drawn["steps"], share).sum())
    agrees = chance >= FALSE_ALARM or 1 in sampling_rates
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
    """Test that another engine's released sums of zero gradients follow the certified noise law; None does not."""
    if law is None:
        yield Check("released sums of zero gradients", "measured", None, False)
        return
    distance, tolerance = law["distance"], law["distance_tolerance"]
    yield Check("law of released sums, distance from the noise", [0.0, tolerance], distance, distance <= tolerance)
    share, tolerance = law["share_positive"], law["share_positive_tolerance"]
    yield Check("share of positive released numbers", [0.5, tolerance], share, abs(share - 0.5) <= tolerance)


def _noise_checks(measured: Mapping[str, Any]) -> Iterable[Check]:
    share, tolerance = measured["share_below_median"], measured["share_below_median_tolerance"]
    yield Check("share of noise below its median", [0.5, tolerance], share, abs(share - 0.5) <= tolerance)
    ratio = measured["mean_abs_ratio"]
    if ratio is not None:
        tolerance = measured["mean_abs_ratio_tolerance"]
        yield Check("mean absolute noise, ratio to certified", [1.0, tolerance], ratio, abs(ratio - 1) <= tolerance)
