"""Faults that stand in public code of the field, planted in releases of other kinds; each is found by a check.

Noise from a public seed and a batch clipped in place of its examples are also found by the contract suite, for
every method.
"""

from dataclasses import replace
from functools import cache
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import nn

from lmodp.accounting import verified_plan, verified_run
from lmodp.auditing.bounds import bound_from_scores
from lmodp.auditing.conformance import dispersion_check
from lmodp.mechanisms import Banded, Differences, Gaussian, Gradient, Releases, Schedule
from lmodp.plan import Plan
from lmodp.records.runs import batch_summary
from lmodp.stages.audit_mechanism import Sampling, scores_of_mechanism
from lmodp.stages.audit_training import RunJudge, draw_coins, shown
from lmodp.training import PoissonSampler, PrivateStep, TensorExamples, TrainingSettings, classification_loss, train
from lmodp.training import step as step_module
from lmodp.training.probes import CanaryExamples, CanaryModel, ReleaseRecorder, canary_loss
from lmodp.training.releases import SUMS, differences
from tests.contracts import test_methods as contract
from tests.contracts.small_world import grid_of, noise_record
from tests.statistics.audited_runs import CANARIES, REAL, Net

DELTA, DIRECTIONS, TRIALS = 0.1, 16, 80
NOISE = Gaussian(std=1.0)
BANDED = Releases(correlation=Banded.square_root(4))


@pytest.fixture(autouse=True)
def quick_directions(monkeypatch):
    """Directions are public: a generator of 32 bits, which is made in no time, does for them."""

    def generator(key, purpose, step, device):
        return torch.Generator().manual_seed(crc32(f"{key} {purpose} {step}".encode()))

    monkeypatch.setattr(differences, "device_generator", generator)


class Weight(nn.Module):
    """One weight for each of four inputs; the loss of an example is its input times them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4))


def scores_of(included: bool) -> np.ndarray:
    """Log-likelihood ratios of single releases of K loss differences, with and without one very steep example.

    The adversary knows the public directions, hence the example's clipped vector.
    """
    plan = Plan(
        noise=NOISE,
        sampling_rate=1.0,
        steps=TRIALS,
        delta=DELTA,
        clip_norm=0.5,
        dataset_size=2,
        releases=Releases(step=Differences(directions=DIRECTIONS)),
    )
    steep = torch.tensor([[1e3 * included, 0.0, 0.0, 0.0], [0.0] * 4])
    found = []

    class Watch:
        def before_noise(self, step, parameters):
            pass

        def after_noise(self, step, parameters, scale):
            vectors = [next(private.sums._directions(number))[1][0] for number in range(DIRECTIONS)]
            shift = torch.stack(vectors) / torch.stack(vectors).norm()
            found.append(float((parameters[0].grad / scale) @ shift - 0.5))

    private = PrivateStep(
        Weight(),
        plan=plan,
        examples=TensorExamples({"x": steep}),
        loss=lambda model, batch: batch["x"] @ model.weight,
        settings=TrainingSettings(learning_rate=0.1),
        keys={"sampling": "s", "dropout": "d", "noise": f"n {included}"},
        hooks=[Watch()],
    )
    for step in range(TRIALS):
        private.run(step)
    return np.array(found)


@cache
def without_the_example() -> np.ndarray:
    """Scores that no fault of clipping can change: the sums are zero."""
    return scores_of(False)


def epsilon_of_releases(included: np.ndarray) -> tuple[float, float]:
    """Return (audited lower bound, verified upper end) of one release of K loss differences."""
    bound = bound_from_scores(included, without_the_example(), delta=DELTA, confidence=0.99)
    run = {"sampling_rate": 1.0, "steps": 1, "delta": DELTA}
    return bound.epsilon_lower, verified_run(NOISE, dimension=DIRECTIONS, full=True, **run).upper


def test_an_audit_of_loss_differences_stays_below_the_verified_epsilon():
    included = scores_of(True)
    lower, upper = epsilon_of_releases(included)
    assert lower <= upper
    assert included.mean() + 0.5 == pytest.approx(1, abs=0.5)  # the clipped vector's length over the noise's scale


def test_differences_clipped_one_by_one_are_found(monkeypatch):
    """K numbers of at most C each are a vector of length sqrt(K) C."""

    def one_by_one(norms, *, clip_norm, clipping):
        return torch.full_like(norms, clip_norm * DIRECTIONS**0.5) / norms.clamp_min(1)

    monkeypatch.setattr(differences, "clip_factors", one_by_one)
    lower, upper = epsilon_of_releases(scores_of(True))
    assert lower > upper


def banded_plan() -> Plan:
    return Plan(
        noise=Gaussian(std=0.5),
        sampling_rate=0.2,
        steps=24,
        delta=1e-10,
        clip_norm=0.3,
        dataset_size=REAL + CANARIES,
        releases=BANDED,
    )


@cache
def banded_run() -> tuple[np.ndarray, np.ndarray]:
    """Return what a run under banded noise shows of each participation of each canary, and the coins."""
    torch.manual_seed(3)
    inputs = torch.randn(REAL, 4)
    plan, coins = banded_plan(), draw_coins(CANARIES, 3)
    model = CanaryModel(Net(), CANARIES)
    recorder = ReleaseRecorder(model)
    train(
        model,
        plan=plan,
        examples=CanaryExamples(TensorExamples({"inputs": inputs, "labels": (inputs[:, 0] > 0).long()}), coins),
        loss=canary_loss(classification_loss, clip_norm=plan.clip_norm),
        settings=TrainingSettings(learning_rate=0.01, micro_batch_size=256),
        hooks=[recorder],
        seeds={"sampling": 9, "dropout": 10, "noise": 11},
    )
    return shown(recorder.released, plan, seed=9), coins


@pytest.mark.parametrize("wrong", [None, "rate", "bands"])
def test_bands_accounted_at_the_wrong_rate_are_found(wrong):
    """As they are: participations at b times the rate. Wrongly: at the plain rate, or with half as many bands."""
    sums, coins = banded_run()
    plan = banded_plan()
    releases = {None: BANDED, "rate": Releases(), "bands": Releases(correlation=Banded.square_root(2))}[wrong]
    accounted = Plan(**{**{name: getattr(plan, name) for name in vars(plan)}, "releases": releases})
    judge = RunJudge(plan=accounted, canaries=CANARIES, seed=99, steps=len(sums))
    assert judge.judge(sums, coins)["fit"]["fits"] is (wrong is None)


@pytest.mark.parametrize("accounted", ["as it is", "as constant"])
def test_a_schedule_accounted_as_constant_is_found(accounted):
    """Half of the noise in the second half of the run; transcripts are drawn as the schedule has it."""
    releases = Releases(schedule=Schedule(noise=((0, 1.0), (10, 0.5))))
    plan = Plan(noise=Gaussian(std=6.0), sampling_rate=1.0, steps=20, delta=1e-5, releases=releases)
    sampling = Sampling(trials=40_000, seed=1)
    bound = bound_from_scores(*scores_of_mechanism(plan, sampling), delta=0.02, confidence=0.99)
    stated = plan if accounted == "as it is" else replace(plan, releases=Releases())
    assert (bound.epsilon_lower > verified_plan(stated, delta=0.02).upper) is (accounted == "as constant")


def test_groups_that_are_shuffled_in_place_of_sampled_are_found():
    """Batches of each group's epochs have one size; sampled ones vary."""
    plan = banded_plan()
    sampler = PoissonSampler(plan=plan, key="k")
    size, rate = round(plan.dataset_size / 4), 4 * plan.sampling_rate
    drawn = [len(sampler.draw(step)) for step in range(plan.steps)]
    shuffled = [round(rate * int((sampler.groups == step % 4).sum())) for step in range(plan.steps)]
    checks = (
        dispersion_check(batch_summary(found, rate * size), rate, size) for found in (drawn, [160] * len(shuffled))
    )
    assert [check.agrees for check in checks] == [True, False]


def test_noise_from_a_public_seed_is_found_by_the_contract_suite(monkeypatch):
    """The public seed that the directions come from, in place of the key of the noise."""
    honest = step_module.device_generator
    monkeypatch.setattr(step_module, "device_generator", lambda key, *rest: honest("100", *rest))
    grid = grid_of(["zeroth_order"], calibrations=["verified"])
    (cell,) = grid.active
    chosen = {"verified": (cell, noise_record(grid, cell))}
    with pytest.raises(AssertionError):
        contract.test_its_noise_comes_from_the_key_of_the_noise(grid.methods["zeroth_order"], grid, chosen)


@pytest.mark.parametrize("name", ["zeroth_order", "adaptive_clipping"])
def test_a_batch_clipped_in_place_of_its_examples_is_found_by_the_contract_suite(name, monkeypatch):
    """Its sum is as long as one example's may be, so the suite sees that examples do not reach the clip norm."""
    honest = SUMS[Differences if name == "zeroth_order" else Gradient].add_up

    def add_up(self, batches, *, step, clip_norm):
        reports = honest(self, batches, step=step, clip_norm=1e9)
        length = torch.stack([value.grad.norm() for value in self.released]).norm()
        for value in self.released:
            value.grad.mul_(min(1.0, clip_norm / float(length)))
        return reports

    monkeypatch.setattr(SUMS[Differences if name == "zeroth_order" else Gradient], "add_up", add_up)
    grid = grid_of([name], calibrations=["verified"])
    (cell,) = grid.active
    chosen = {"verified": (cell, noise_record(grid, cell))}
    with pytest.raises(AssertionError):
        contract.test_the_sum_of_a_step_is_bounded_however_steep_the_loss(grid.methods[name], grid, chosen)
