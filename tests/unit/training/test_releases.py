"""What the engine does for each part of `lmodp.mechanisms.releases`, against slow and obvious computations."""

import copy
import json
import random
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

from lmodp.errors import InvalidValue, Unsupported
from lmodp.mechanisms import Banded, Differences, Gaussian, Gradient, Moments, Quantile, Releases, Schedule
from lmodp.training import PoissonSampler, PrivateStep, classification_loss, train
from lmodp.training.examples import TensorExamples
from lmodp.training.randomness import device_generator
from lmodp.training.releases import SUMS
from lmodp.training.releases.moments import MomentSums
from lmodp.training.releases.sums import ClippedSums
from lmodp.training.settings import AfterNoise
from tests.unit.training.small import SEEDS, arguments, make_examples, make_model, make_plan, make_settings

KEYS = {name: str(seed) for name, seed in SEEDS.items()}
SCHEDULE = Schedule(
    noise=((0, 2.0), (3, 1.0)),
    clip_norm=((0, 0.5), (2, 1.0)),
    batch=((0, 1.0), (4, 2.0)),
    learning_rate=((0, 0.1), (5, 1.0)),
)
KINDS = {
    "differences": Releases(step=Differences(directions=3)),
    "banded": Releases(correlation=Banded.square_root(3)),
    "quantile": Releases(clip=Quantile(quantile=0.3)),
    "schedule": Releases(schedule=SCHEDULE),
    "differences and quantile": Releases(step=Differences(), clip=Quantile()),
}
kinds = pytest.mark.parametrize("releases", KINDS.values(), ids=KINDS)


class Watch:
    """A step hook that keeps sums before and after noise, and the factor of the noise."""

    def __init__(self):
        self.before, self.after, self.scales = [], [], []

    def before_noise(self, step, parameters):
        self.before.append(flat(parameters))

    def after_noise(self, step, parameters, scale):
        self.after.append(flat(parameters))
        self.scales.append(scale)

    def state(self):
        return {}

    def restore(self, state):
        pass


def flat(parameters):
    return torch.cat([value.grad.reshape(-1) for value in parameters]).clone()


def step_of(releases, *, model=None, settings=None, hooks=(), examples=None, loss=classification_loss, **changes):
    run = {
        "plan": make_plan(releases=releases, **changes),
        "examples": examples or make_examples(),
        "loss": loss,
    }
    settings = settings or make_settings()
    return PrivateStep(model or make_model(), settings=settings, keys=KEYS, hooks=hooks, **run)


def weights(model):
    return torch.cat([value.detach().reshape(-1) for value in model.parameters()])


@kinds
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, releases, optimizer):
    def progress(done, steps):
        if done == 5:
            raise KeyboardInterrupt

    def run(**options):
        model = make_model(dropout=0.2)
        result = train(model, **arguments(releases=releases, optimizer=optimizer, checkpoint_every=2), **options)
        return weights(model), json.dumps(result.record)

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint_path=tmp_path / "c", progress=progress)
    (resumed, told), (whole, expected) = run(checkpoint_path=tmp_path / "c"), run()
    assert torch.equal(resumed, whole) and told == expected


@kinds
def test_noise_is_drawn_once_for_every_number_released_at_the_scale_of_its_step(releases):
    """And depends on the key of the noise alone."""
    watch, quiet = Watch(), Watch()
    one, other = (step_of(releases, hooks=[w]) for w in (watch, quiet))
    other.keys = {**KEYS, "noise": "another"}
    for step in (0, 1):
        one.run(step)
        other.run(step)
    size = sum(value.numel() for value in one.released)
    assert all(torch.equal(*pair) for pair in zip(watch.before, quiet.before, strict=True)) or one.norm.released
    noises = [after - before for before, after in zip(watch.before, watch.after, strict=True)]
    assert one.meter.draws == 2 * size == sum(len(noise) for noise in noises)
    assert not any(bool((a == b).any()) for a, b in zip(watch.after, quiet.after, strict=True))
    assert watch.scales[0] == pytest.approx(
        one.plan.effective_noise_scale * {"scheduled": 1.0}.get(one.plan.noise_schedule, 1)
    )


def test_banded_noise_times_its_matrix_is_the_independent_noise_of_the_same_key():
    correlation, watch, plain = Banded.square_root(3), Watch(), Watch()
    banded = step_of(Releases(correlation=correlation), hooks=[watch])
    independent = step_of(Releases(), hooks=[plain])
    for step in range(6):
        banded.run(step)
        independent.run(step)
    noises, fresh = (torch.stack(w.after) - torch.stack(w.before) for w in (watch, plain))
    c = sum(np.diag(np.full(6 - k, value), -k) for k, value in enumerate(correlation.coefficients))
    assert torch.allclose(torch.as_tensor(c, dtype=torch.float32) @ noises, fresh, atol=1e-5)
    assert len(banded.noise.past) == 2


def test_groups_take_turns_and_every_example_has_its_rate():
    plan = make_plan(releases=Releases(correlation=Banded.square_root(4)), dataset_size=4000, sampling_rate=0.1)
    sampler, seen = PoissonSampler(plan=plan, key="k"), [set(), set(), set(), set()]
    sizes = []
    for step in range(40):
        drawn = sampler.draw(step)
        assert set(sampler.groups[drawn]) <= {step % 4}
        seen[step % 4] |= set(drawn.tolist())
        sizes.append(len(drawn))
    assert sum(map(len, seen)) == len(set().union(*seen)) > 3900
    assert np.bincount(sampler.groups) == pytest.approx(1000, abs=150)
    assert np.mean(sizes) == pytest.approx(400, abs=20)


@pytest.mark.parametrize("clip_norm", [0.05, 0.4, 1e9])
def test_the_released_vector_is_the_sum_of_clipped_vectors_of_differences(clip_norm):
    part, watch = Differences(directions=3, smoothing=1e-3), Watch()
    model, examples = make_model().double(), make_examples()
    examples.tensors["x"] = examples.tensors["x"].double()
    private = step_of(
        Releases(step=part), model=copy.deepcopy(model), hooks=[watch], clip_norm=clip_norm, examples=examples
    )
    private.sum_clipped(0)
    batch = examples.batch(private.sampler.draw(0))
    columns = []
    for number in range(3):
        generator = device_generator(KEYS["dropout"], f"direction {number}", 0)
        directions = [
            torch.randn(p.shape, generator=generator, dtype=p.dtype).view(p.shape) for p in model.parameters()
        ]
        losses = []
        for sign in (1, -1):
            moved = copy.deepcopy(model)
            for parameter, direction in zip(moved.parameters(), directions, strict=True):
                parameter.data.add_(direction, alpha=sign * part.smoothing)
            losses.append(classification_loss(moved, batch).detach())
        columns.append((losses[0] - losses[1]) / (2 * part.smoothing))
    vectors = torch.stack(columns, dim=1)
    expected = (vectors * (clip_norm / vectors.norm(dim=1)).clamp_max(1)[:, None]).sum(0)
    assert torch.allclose(private.released[0].grad.double(), expected, rtol=1e-4)
    assert torch.allclose(weights(private.sums.plain.model), weights(model), atol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_plain_sgd_in_place_is_sgd_through_gradients(decay):
    """The estimate is (1/K) sum_k v_k z_k; weight decay takes the way through ``.grad``."""
    releases, moved = Releases(step=Differences(directions=4)), []
    for number in range(2):
        private = step_of(releases)
        private.run(0)
        parameters = private.parameters
        if number == 0:
            private.sums.apply(torch.optim.SGD(parameters, lr=0.1, weight_decay=decay))
        else:
            before = weights(private.sums.plain.model)
            private.sums.apply(torch.optim.Adam(parameters, lr=0.0))  # fills .grad and leaves the weights
            moved.append(before - 0.1 * (flat(parameters) + decay * before))
            continue
        moved.append(weights(private.sums.plain.model))
    assert torch.allclose(*moved, atol=1e-6)


def test_loss_differences_refuse_what_cannot_be_bounded():
    model = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.BatchNorm1d(3))
    with pytest.raises(Unsupported, match=r"cannot be clipped per example:\n  1 \(BatchNorm1d\) mixes the examples"):
        step_of(KINDS["differences"], model=model)
    mixed = make_model()
    mixed.forward = lambda x: mixed.second(torch.tanh(mixed.first(x - x.mean(0))))
    with pytest.raises(Unsupported, match="changes by .* with the other examples of its batch"):
        step_of(KINDS["differences"], model=mixed)


def test_a_difference_shows_what_hardly_shows_in_a_loss():
    """The other examples change a loss by less than 0.1 %, and its difference by a multiple of that over 2 mu."""
    mixed = make_model()
    mixed.forward = lambda x: mixed.second(torch.tanh(mixed.first(x - 1e-3 * x.mean(0))))
    with pytest.raises(Unsupported, match="for loss differences a larger smoothing"):
        step_of(KINDS["differences"], model=mixed)
    step_of(
        Releases(step=Differences(smoothing=0.1)), model=mixed
    )  # where 2 mu is 100 times as large, so is what passes


def test_differences_of_losses_of_16_bits_are_refused():
    with pytest.raises(Unsupported, match="precision = 'bfloat16' rounds losses"):
        step_of(KINDS["differences"], settings=make_settings(precision="bfloat16"))
    with pytest.raises(Unsupported, match="clipping 'none' bounds nothing"):
        step_of(KINDS["differences"], clipping="none", noise=None)


def test_the_clip_norm_follows_the_noisy_count():
    part = Quantile(quantile=0.3, rate=0.5, share=0.2)
    watch = Watch()
    private = step_of(Releases(clip=part), hooks=[watch], noise=Gaussian(std=0.3), clip_norm=1.8)
    report = private.run(0)
    signed = report.batch_size - 2 * report.clipped
    assert 0 < report.clipped < report.batch_size
    assert float(watch.before[0][-1]) == pytest.approx(0.36 * signed)
    fraction = (float(watch.after[0][-1]) / 0.36 / private.plan.expected_batch_size + 1) / 2
    assert private.norm.value == pytest.approx(1.8 * np.exp(-0.5 * (fraction - 0.3)), rel=1e-6)
    assert private.noise_scale(1) == pytest.approx(private.norm.value * np.hypot(1, 0.2))


def test_without_noise_the_clip_norm_settles_at_the_quantile():
    private = step_of(Releases(clip=Quantile(quantile=0.5, rate=0.3)), noise=None, sampling_rate=1.0, clip_norm=5.0)
    for step in range(40):
        report = private.run(step)
    assert report.clipped == pytest.approx(report.batch_size / 2, abs=3)


def test_a_schedule_holds_at_every_step():
    private, rates = step_of(Releases(schedule=SCHEDULE), sampling_rate=0.3), []
    assert [private.clip_norm(step) for step in range(4)] == [0.2, 0.2, 0.4, 0.4]
    assert [private.noise_scale(step) for step in (0, 2, 3)] == pytest.approx([0.4, 0.8, 0.4])
    assert sum(len(private.sampler.draw(step)) for step in range(4, 40)) / 36 == pytest.approx(36, abs=4)

    class Rates(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])

    after = AfterNoise("nothing", lambda parameters, settings, plan: Rates(parameters, lr=1.0))
    result = train(
        make_model(), **arguments(releases=Releases(schedule=SCHEDULE), learning_rate=0.5), after_noise=after
    )
    assert rates == pytest.approx([0.05] * 5 + [0.5] * 2) and result.record["after_noise"] == "nothing"


class Raises(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Raises, "RuntimeError: shape mismatch"), (torch.optim.LBFGS, "TypeError: .*closure")],
)
def test_an_error_of_a_methods_optimiser_is_told_as_its_own(kind, told):
    after = AfterNoise("mine", lambda parameters, settings, plan: kind(parameters, lr=1.0))
    with pytest.raises(InvalidValue, match=rf"mine: the optimiser's step\(\): {told}"):
        train(make_model(), **arguments(), after_noise=after)


class Counts(torch.optim.SGD):
    """Its state is a plain attribute."""

    calls = 0

    @torch.no_grad()
    def step(self, closure=None):
        self.calls += 1
        for group in self.param_groups:
            for value in group["params"]:
                value.sub_(group["lr"] / self.calls * value.grad)


class Averages(torch.optim.SGD):
    """Its state is a tensor."""

    def __init__(self, parameters, **rates):
        super().__init__(parameters, **rates)
        self.past = {"sum": [torch.zeros_like(value) for value in parameters], "parameters": parameters}

    @torch.no_grad()
    def step(self, closure=None):
        for value, past in zip(self.past["parameters"], self.past["sum"], strict=True):
            value.sub_(past.add_(value.grad), alpha=0.1)


class Draws(torch.optim.SGD):
    """Draws from the global generators, as it is built and at each step."""

    def __init__(self, parameters, **rates):
        super().__init__(parameters, **rates)
        self.factors = [torch.rand(1).item(), np.random.random(), random.random()]

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for value in group["params"]:
                value.add_(sum(self.factors) * (torch.rand(1).item() + np.random.random() + random.random()))


@pytest.mark.parametrize("kind", [Counts, Averages, Draws, partial(torch.optim.Adam, fused=True)])
def test_what_a_methods_optimiser_keeps_or_draws_is_the_same_after_an_interruption(tmp_path, kind):
    written = []

    def progress(done, steps):
        if done == 5:
            written.append((tmp_path / "c").exists())
            raise KeyboardInterrupt

    def run(**options):
        model = make_model()
        after = AfterNoise("mine", lambda parameters, settings, plan: kind(parameters, lr=1.0))
        train(model, **arguments(checkpoint_every=2), after_noise=after, **options)
        return weights(model)

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint_path=tmp_path / "c", progress=progress)
    np.random.seed(7)
    assert torch.equal(run(checkpoint_path=tmp_path / "c"), run())
    assert written == [kind not in (Counts, Averages)]


@dataclass(frozen=True, kw_only=True)
class PerLayer(Gradient):
    """A part of somebody's own that counts layers, and releases the whole gradient."""

    kind: ClassVar[str] = "per_layer"

    @property
    def dimension(self):
        return 1


def test_a_part_that_states_another_dimension_than_it_releases_is_refused(monkeypatch):
    releases = Releases(step=PerLayer())
    with pytest.raises(Unsupported, match="PerLayer: the engine has no entry for it, only for Gradient, Differences"):
        step_of(releases)
    monkeypatch.setitem(SUMS, PerLayer, ClippedSums)
    with pytest.raises(InvalidValue, match="dimension = 1: is what 'per_layer' is certified for, .* 53 numbers"):
        step_of(releases)


def test_a_clip_norm_that_leaves_the_numbers_is_told():
    private = step_of(Releases(clip=Quantile(rate=1e6)))
    with pytest.raises(InvalidValue, match=r"clip_norm = (inf|0.0): left the range of numbers by Quantile\(rate="):
        private.run(0)


@pytest.mark.parametrize("schedule", [Schedule(clip_norm=((0, 1.0), (1, 10.0))), Schedule()])
def test_moments_of_every_step_have_the_same_weight(schedule):
    """The sums grow with the clip norm; what is added up does not."""
    releases = Releases(step=Moments(), schedule=schedule)
    private = step_of(releases, noise=None, sampling_rate=1.0, model=torch.nn.Linear(6, 3), loss=linear_loss)
    totals = []
    for step in range(2):
        private.run(step)
        totals.append(private.sums.total.clone())
    assert torch.allclose(totals[1], 2 * totals[0])


def test_the_ridge_of_least_squares_is_the_noise_of_all_steps():
    releases = Releases(step=Moments(), schedule=Schedule(noise=((0, 1.0), (1, 3.0)), batch=((0, 1.0), (1, 2.0))))
    private = step_of(releases, sampling_rate=0.4, model=torch.nn.Linear(6, 3), loss=linear_loss)
    private.run(0)
    private.run(1)
    assert private.sums.steps == pytest.approx(1 + (3 / 2) ** 2)


def linear_loss(model, batch):
    return torch.nn.functional.cross_entropy(model(batch["x"]), batch["labels"], reduction="none")


def test_steps_are_divided_by_the_batch_that_is_expected_of_them():
    doubled = Releases(schedule=Schedule(batch=((0, 2.0),)))
    private = step_of(doubled, noise=None, sampling_rate=0.5)
    private.sum_clipped(0)
    total = flat(private.released)
    again = step_of(doubled, noise=None, sampling_rate=0.5)
    again.run(0)
    assert torch.allclose(flat(again.released), total / (2 * again.plan.expected_batch_size))


def test_adam_without_the_variance_of_the_noise():
    from lmodp.baselines.adam_bc import FLOOR, AdamBc

    plan, parameter = replace(make_plan(), steps=1), torch.nn.Parameter(torch.zeros(2))
    phi = (0.7 * 0.4 / 12) ** 2
    optimizer = AdamBc().build_optimizer([parameter], make_settings(learning_rate=0.1), plan)
    parameter.grad = torch.tensor([0.1, 1e-3])
    optimizer.step()
    wide, narrow = 0.1 / (0.1**2 - phi) ** 0.5, 1e-3 / (FLOOR * phi) ** 0.5
    assert parameter.tolist() == pytest.approx([-0.1 * wide, -0.1 * narrow], rel=1e-4)


HEADS = {
    "one layer": lambda: torch.nn.Linear(5, 3),
    "without a constant": lambda: torch.nn.Linear(5, 3, bias=False),
    "two layers": lambda: torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_least_squares_writes_the_ridge_regression_into_a_head(head):
    draw = torch.Generator().manual_seed(4)
    rows, labels = torch.randn(40, 5, generator=draw), torch.randint(3, (40,), generator=draw)

    def loss(model, batch):
        return torch.nn.functional.cross_entropy(model(batch["x"]), batch["labels"], reduction="none")

    model, plan = head(), make_plan(releases=Releases(step=Moments()), noise=Gaussian(std=0.3), clip_norm=0.7)
    examples = TensorExamples({"x": rows, "labels": labels})
    sums = MomentSums(model, plan=plan, examples=examples, loss=loss, settings=make_settings(), key="0")
    sums.add_up([({"x": rows, "labels": labels}, 40)], step=0, clip_norm=0.7)
    released = sums.released[0].grad.clone()
    features = torch.nn.functional.pad(rows, (0, sums.constant), value=1.0)
    features = (features / features.norm(dim=1, keepdim=True)).double()
    each = [  # an example's vector: with weight sqrt(2) off the diagonal it has the norm of its matrix, which is 1
        torch.cat([(torch.outer(x, x)[*sums.pairs] * sums.weights), torch.outer(x, torch.eye(3)[y].double()).flatten()])
        for x, y in zip(features, labels, strict=True)
    ]
    assert all(float((vector * 0.7 / 2**0.5).norm()) == pytest.approx(0.7) for vector in each)
    torch.testing.assert_close(released.double(), 0.7 / 2**0.5 * sum(each), rtol=1e-5, atol=1e-5)
    sums.divide(40.0)
    sums.apply(None)
    ridge = 2**0.5 * sums.noise / (0.7 * 40) * (2 * features.shape[1]) ** 0.5
    targets = torch.nn.functional.one_hot(labels, 3).double()
    solved = torch.linalg.solve(
        features.T @ features / 40 + ridge * torch.eye(features.shape[1]), features.T @ targets / 40
    )
    share = 1 / 3 if sums.constant else 0.0
    scores = torch.nn.functional.pad(rows, (0, sums.constant), value=1.0).double() @ solved - share
    torch.testing.assert_close(model(rows).double(), scores, rtol=1e-4, atol=1e-4)
