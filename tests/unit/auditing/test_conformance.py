"""verify_run: an honest run conforms; every kind of departure is named."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from lmodp.auditing.conformance import (
    FALSE_ALARM,
    _chance_of_sum,
    compare_run,
    compare_untrained,
    dispersion_check,
    repeats_check,
    total_check,
)
from lmodp.mechanisms import Gaussian, Releases, Schedule
from lmodp.plan import Plan
from lmodp.records.runs import batch_summary

N, B, T = 5000, 300.0, 24


@pytest.fixture
def plan():
    return Plan.for_batches(
        expected_batch_size=B, dataset_size=N, steps=T, delta=1e-6, clip_norm=0.7, noise=Gaussian(std=2.0)
    )


@pytest.fixture
def honest(plan):
    sizes = np.random.default_rng(3).binomial(N, plan.sampling_rate, T).tolist()
    return {
        **{
            name: plan.to_dict()[name]
            for name in (
                "sampling_rate",
                "steps",
                "dataset_size",
                "clip_norm",
                "clipping",
                "noise",
                "sampler",
                "adjacency",
            )
        },
        "noise_scale": 0.7,
        "divisor": B,
        "batches": batch_summary(sizes, B),
        "noise_measured": {
            "share_below_median": 0.5003,
            "share_below_median_tolerance": 0.004,
            "mean_abs_ratio": 1.001,
            "mean_abs_ratio_tolerance": 0.01,
        },
    }


def test_an_honest_run_conforms(plan, honest):
    result = compare_run(plan, honest)
    assert result["conforms"] and result["reason"] is None
    assert len(result["checks"]) >= 13


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sampling_rate", 0.12),
        ("steps", T + 1),
        ("clip_norm", 1.0),
        ("clipping", "automatic"),
        ("noise", Gaussian(std=1.9).to_dict()),
        ("noise_scale", 1.0),
        ("divisor", 301.0),
        ("sampler", "shuffle"),
    ],
)
def test_each_field_that_differs_is_the_reason(plan, honest, name, value):
    result = compare_run(plan, {**honest, name: value})
    assert not result["conforms"]
    assert result["reason"].startswith(f"{name}:")


def test_noise_of_two_thirds_the_scale_is_found(plan, honest):
    measured = {**honest["noise_measured"], "mean_abs_ratio": 2 / 3}
    assert "ratio to certified" in compare_run(plan, {**honest, "noise_measured": measured})["reason"]


def test_a_wrong_rate_shows_in_the_batches_and_a_right_one_does_not():
    rng = np.random.default_rng(0)
    for rate, agrees in ((0.06, True), (0.06 * 2 / 3, False), (0.06 * 1.5, False)):
        assert total_check(batch_summary(rng.binomial(N, rate, T).tolist(), B), {0.06: T}, N).agrees is agrees


def test_batches_on_a_schedule_are_held_to_it(plan, honest):
    batch = ((0, 0.01), (8, 1.0), (16, 2.0))
    planned = replace(plan, releases=Releases(schedule=Schedule(batch=batch)))
    rates = np.repeat([0.01, 1.0, 2.0], 8) * plan.sampling_rate
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for drawn, conforms in ((rng.binomial(N, rates), True), (rng.binomial(N, plan.sampling_rate / 1.2, T), False)):
            ran = {**honest, "releases": planned.releases.to_dict(), "batches": batch_summary(drawn.tolist(), B)}
            found = compare_run(planned, ran)
            assert found["conforms"] is conforms, found["reason"]


def test_a_shuffled_epoch_shows_in_the_batches():
    assert not dispersion_check(batch_summary([300] * T, B), 0.06, N).agrees
    assert not repeats_check(batch_summary([300] * (T - 1) + [260], B), [0.06], N).agrees
    assert dispersion_check(batch_summary(np.random.default_rng(1).binomial(N, 0.06, T).tolist(), B), 0.06, N).agrees
    assert repeats_check(batch_summary(np.random.default_rng(1).binomial(N, 0.06, T).tolist(), B), [0.06], N).agrees


def test_few_equal_batches_are_no_proof():
    chance = binom.pmf(32, 192, 32 / 192) ** 2
    assert chance > FALSE_ALARM
    assert dispersion_check(batch_summary([32, 32], 32.0), 32 / 192, 192).agrees


def test_the_law_of_the_sum_of_squares_against_enumeration():
    size, rate, centre, limit = 9, 0.4, 4, 6
    pmf = binom.pmf(np.arange(size + 1), size, rate)
    squares = (np.arange(size + 1) - centre) ** 2
    exact = sum(
        pmf[a] * pmf[b] * pmf[c]
        for a in range(10)
        for b in range(10)
        for c in range(10)
        if squares[a] + squares[b] + squares[c] <= limit
    )
    assert math.isclose(_chance_of_sum(limit, centre, 3, rate, size), exact, rel_tol=1e-12)


def test_a_run_without_privacy_is_compared_too(honest):
    plan = Plan.for_batches(
        expected_batch_size=B, dataset_size=N, steps=T, clip_norm=math.inf, clipping="none", noise=None
    )
    ran = {**honest, "clip_norm": None, "clipping": "none", "noise": None, "noise_measured": None, "noise_scale": None}
    assert compare_run(plan, ran)["conforms"]
    assert compare_run(plan, {**ran, "steps": 3})["reason"].startswith("steps")


@pytest.mark.parametrize("name", ["steps", "trainable_parameters", "examples"])
def test_a_run_that_claims_to_train_nothing_is_held_to_it(name):
    ran = {"steps": 0, "trainable_parameters": 0, "batches": {"examples": 0}}
    assert compare_untrained(ran)["conforms"]
    ran["batches" if name == "examples" else name] = {"examples": 1} if name == "examples" else 1
    found = compare_untrained(ran)
    assert not found["conforms"] and found["reason"].endswith("certified 0, ran 1")
