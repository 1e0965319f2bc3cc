"""Runs that learned from nobody say so: weights, examples, movement."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from lmodp.auditing.conformance import released_law_checks
from lmodp.engines.foreign import EngineFailed, train_foreign
from lmodp.errors import InvalidValue, Unsupported, require_finite
from lmodp.mechanisms import Banded, Differences, Quantile, Releases, Schedule
from lmodp.training import TensorExamples, TrainingResult, classification_loss, train
from lmodp.training.randomness import stream_key
from lmodp.training.run_log import fault_of_examples, snapshot, unmoved
from lmodp.training.step import PrivateStep
from tests.unit.training.small import SIZE, arguments, make_examples, make_model


@pytest.fixture(autouse=True)
def few_probes(monkeypatch):
    monkeypatch.setattr("lmodp.engines.foreign.MOST_PROBES", 3)


def foreign(model, **run):
    return train_foreign(OwnEngine(), model, **run)


class OwnEngine:
    """The suite's engine behind the interface of another one; ``change`` is made to its arguments."""

    packages = ()

    def __init__(self, change=lambda run: run):
        self.change = change

    def train(self, model, **run):
        return train(model, **self.change(run))

    def probe_step(self, model, *, plan, examples, loss, settings, seeds):
        keys = {name: stream_key(seeds[name], randomness="seeded") for name in ("sampling", "dropout", "noise")}
        run = self.change({"plan": plan, "examples": examples, "loss": loss, "settings": settings})
        step = PrivateStep(model.train(), keys=keys, **run)
        step.run(0)
        return torch.cat([value.grad.flatten() for value in step.parameters]) * plan.expected_batch_size


@pytest.mark.parametrize("trainer", [train, foreign])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_frozen_weight_that_is_not_finite_is_named_before_any_step(trainer, bad):
    model = make_model()
    model.first.requires_grad_(False).bias.data[2] = bad
    with pytest.raises(InvalidValue, match=r"weights first.bias = .*: 1 of 5 numbers are not finite. Fetch"):
        trainer(model, **arguments())


def test_large_weights_whose_sum_overflows_are_finite():
    require_finite([("w", torch.full((4,), 3e38)), ("ids", torch.arange(3))])
    with pytest.raises(InvalidValue, match="1 of 4"):
        require_finite([("w", torch.tensor([3e38, 3e38, math.nan, 1.0]))])


def poisoned(share, factor):
    """Return examples and a loss that multiplies the loss of this share of them."""
    examples = make_examples()
    factors = torch.where(torch.arange(SIZE) < share * SIZE, factor, 1.0)
    loss = lambda model, batch: batch["factor"] * classification_loss(model, {k: batch[k] for k in ("x", "labels")})  # noqa: E731
    return {"examples": TensorExamples({**examples.tensors, "factor": factors}), "loss": loss}


@pytest.mark.parametrize(
    ("share", "factor", "reason"),
    [
        (1, math.nan, r"(\d+) of \1 drawn examples were not finite, and these examples were left out"),
        (0.97, math.inf, r"drawn examples were not finite, and these examples were left out"),
        (1, 0.0, r"all \d+ drawn examples were zero: the weights moved as much as without data"),
        (0.5, math.nan, None),
        (0.5, 0.0, None),
        (0, 1.0, None),
    ],
)
def test_a_run_whose_examples_all_fell_out_says_so(share, factor, reason):
    result = train(make_model(), **{**arguments(), **poisoned(share, factor)})
    if reason is None:
        assert result.fault is None
    else:
        assert re.search(reason, result.fault)


def test_a_run_that_drew_nobody_says_nothing_of_examples():
    assert fault_of_examples(0, 0, 0) is None


@pytest.mark.parametrize("trainer", [train, foreign])
def test_weights_that_did_not_move_are_told(trainer):
    assert trainer(make_model(), **arguments(learning_rate=0.05)).fault is None
    assert "no trained weight moved in 7 steps" in trainer(make_model(), **arguments(learning_rate=1e-30)).fault


def test_a_resumed_run_has_moved(tmp_path):
    run = {**arguments(checkpoint_every=2, learning_rate=0.05), "checkpoint_path": tmp_path / "c.pt"}

    def stop(done, steps):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_model(), **run, progress=stop)
    assert train(make_model(), **run).fault is None


@pytest.mark.parametrize("places", [[0], [0, 1], slice(None)])
def test_the_smallest_movement_is_seen(places):
    """One number, two numbers alike, or all of them: as many as one step of Adam from zero moves."""
    parameter = nn.Parameter(torch.zeros(20_000))
    before = snapshot([parameter])
    assert unmoved(before, [parameter], 3)
    parameter.data[places] += 1e-6
    assert unmoved(before, [parameter], 3) is None


def test_an_engine_that_learns_from_nobody_is_told():
    """Its noise is the plan's, it draws and sums, but its gradients are none of the data's."""

    def without_data(run):
        return {**run, "loss": lambda model, batch: 0.0 * classification_loss(model, batch)}

    with pytest.raises(EngineFailed, match="as far without data as with them: the engine learns from nobody"):
        train_foreign(OwnEngine(without_data), make_model(), **arguments())


def test_another_engine_gets_no_trained_weights_of_16_bits():
    with pytest.raises(Unsupported, match=r"4 trained parameters are torch.bfloat16 \(first.weight among them\)"):
        foreign(make_model().bfloat16(), **arguments())


FIVEFOLD = Releases(schedule=Schedule(noise=((0, 5.0),), clip_norm=((0, 0.5),)))


def test_another_engines_noise_is_held_to_the_schedule():
    """The right one agrees; the one that leaves the schedule out adds too little, whatever it says of itself."""
    deaf = OwnEngine(lambda run: {**run, "plan": replace(run["plan"], releases=Releases())})
    for engine, conforms in ((OwnEngine(), True), (deaf, False)):
        law = train_foreign(engine, make_model(), **arguments(releases=FIVEFOLD)).record["released_law"]
        assert all(check.agrees for check in released_law_checks(law)) is conforms


@pytest.mark.parametrize(
    "releases",
    [
        Releases(schedule=Schedule(noise=((0, 5.0), (3, 1.0)))),
        Releases(schedule=Schedule(clip_norm=((0, 1.0), (3, 2.0)))),
        Releases(correlation=Banded.square_root(2)),
        Releases(clip=Quantile()),
        Releases(step=Differences()),
    ],
)
def test_what_the_first_step_of_another_engine_cannot_show_is_refused(releases):
    with pytest.raises(Unsupported, match="tested by the sum that its first step releases, .*; asked: "):
        foreign(make_model(), **arguments(releases=releases))


def test_an_engines_own_word_on_what_it_learned_is_kept():
    class Tells(OwnEngine):
        def train(self, model, **run):
            result = super().train(model, **run)
            return TrainingResult(record=result.record, timing=result.timing, fault="nothing came of it")

    assert train_foreign(Tells(), make_model(), **arguments()).fault == "nothing came of it"
