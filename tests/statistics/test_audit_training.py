"""Faults planted in the engine are found by the audit of one run; mended, the run passes.

Detected in all of n runs means, with 95 % confidence, a power of at least 0.05^(1/n):
0.69 for the eight runs of the default tests, 0.93 for the forty of the slow ones.
"""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from lmodp.accounting import verified_run
from lmodp.auditing.bounds import bound_from_scores
from lmodp.auditing.likelihood import CanaryScore
from lmodp.mechanisms import Gaussian
from lmodp.plan import Plan
from lmodp.training import TrainingSettings, classification_loss
from tests.statistics.audited_runs import (
    FAINT,
    FAULTS,
    LITTLE,
    MUCH,
    Net,
    audited_run,
    found,
    judge_of,
    leave_unclipped,
    plan_of,
    scale_noise,
)
from tests.statistics.many_runs import run_scores


def audits(name: str, seeds: range, patch: pytest.MonkeyPatch) -> list[dict]:
    noise, plant, _ = FAULTS[name]
    plant(patch)
    return [audited_run(noise, seed) for seed in seeds]


def objections(audit: dict) -> set[str]:
    witnesses = {"epsilon": not audit["consistent_with_verified"], "fit": not audit["fit"]["fits"]}
    return {name for name, objects in witnesses.items() if objects}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(name, monkeypatch):
    for audit in audits(name, range(8), monkeypatch):
        assert FAULTS[name][2] in objections(audit), audit


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found_in_forty_runs(name, monkeypatch):
    assert all(found(audit) for audit in audits(name, range(100, 140), monkeypatch))


@pytest.mark.parametrize("noise", [FAINT, LITTLE, MUCH])
def test_mended_run_passes(noise):
    assert not any(found(audited_run(noise, seed)) for seed in range(8))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [FAINT, LITTLE, MUCH])
def test_mended_run_passes_forty_times(noise):
    assert not any(found(audited_run(noise, seed)) for seed in range(100, 140))


def test_too_much_noise_is_found_although_it_harms_no_one(monkeypatch):
    scale_noise(monkeypatch, 1.5)
    assert all("fit" in objections(audited_run(LITTLE, seed)) for seed in range(4))


def test_a_loud_run_is_bounded_away_from_zero_and_below_verified():
    audit = audited_run(LITTLE, 5)
    assert 1.5 < audit["epsilon_lower"] <= audit["verified"]["upper"]


DELTA = 0.02


def many_runs(plan: Plan, trials: int) -> tuple[float, float]:
    """The bound of many runs of a small model, and the verified epsilon."""
    torch.manual_seed(1)
    net, canary = Net(), {"inputs": torch.tensor([[0.5, -1.0, 2.0, 0.3]]), "labels": torch.tensor([1])}
    of_steps = CanaryScore(
        noise=plan.noise,
        relative_sensitivity=plan.relative_sensitivity,
        coordinates=1,
        sampling_rate=plan.sampling_rate,
    ).of_steps
    worlds = [
        run_scores(
            net,
            plan=plan,
            canary=canary,
            loss=classification_loss,
            settings=TrainingSettings(learning_rate=0.01),
            trials=trials,
            included=included,
            seed=7,
            of_steps=of_steps,
        )
        for included in (True, False)
    ]
    upper = verified_run(plan.noise, sampling_rate=plan.sampling_rate, steps=plan.steps, delta=DELTA).upper
    return bound_from_scores(*worlds, delta=DELTA).epsilon_lower, upper


def test_unclipped_layer_is_found_by_many_runs(monkeypatch):
    plan = Plan(noise=Gaussian(std=4.0), sampling_rate=0.5, steps=3, delta=1e-5, clip_norm=0.3, dataset_size=3)
    lower, upper = many_runs(plan, 40)
    assert lower <= upper
    leave_unclipped(monkeypatch, (2, 6))
    faulty, _ = many_runs(plan, 40)
    assert faulty > upper


def test_coins_that_decide_nothing_are_guessed_at_random():
    """The bound exceeds 0 no more often than its confidence allows."""
    generator, judge, plan = np.random.default_rng(3), judge_of(MUCH), plan_of(MUCH)
    wrong = 0
    for _ in range(200):
        coins = generator.random(judge.canaries) < 0.5
        released = generator.normal(0, MUCH.std, (plan.steps, judge.canaries))
        wrong += judge.judge(released, coins)["epsilon_lower"] > 0
    assert wrong <= binom.ppf(0.9999, 200, 1 - judge.confidence)
