"""Seams for audits: a step of zero gradients, and canaries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmodp.errors import InvalidValue
from lmodp.mechanisms import Gaussian
from lmodp.training import Canaries, probe_step, train
from lmodp.training.noise import draw
from lmodp.training.randomness import device_generator, stream_key
from tests.unit.training.small import SEEDS, arguments, make_model, make_plan


def test_a_probed_step_releases_the_noise_alone():
    model = make_model()
    released = probe_step(model, **arguments(), step=3)
    generator = device_generator(stream_key(SEEDS["noise"], entropy="seeded"), "noise", 3)
    expected = torch.cat([draw(Gaussian(std=0.7), tuple(value.shape), generator).reshape(-1)
                          for value in model.parameters()])
    np.testing.assert_allclose(released, 0.4 * expected.numpy(), rtol=1e-5, atol=1e-7)
    assert all(value.grad is None and value.requires_grad for value in model.parameters())


def canaries(plan, **changes):
    fields = {"coordinates": np.array([2, 31, 52]), "included": np.array([True, False, True]), "seed": 5}
    return Canaries(plan=plan, **{**fields, **changes})


def test_included_canaries_add_the_clip_norm_when_drawn():
    plan = make_plan(sampling_rate=0.5, steps=20)
    hook, without = canaries(plan), canaries(plan, included=np.zeros(3, dtype=bool))
    for chosen in (hook, without):
        fields = arguments(sampling_rate=0.5, steps=20, learning_rate=1e-12)
        train(make_model(), **fields, hooks=(chosen,))
    drawn = np.stack([hook.drawn(step) for step in range(20)])
    np.testing.assert_allclose(hook.observed - without.observed, drawn, atol=1e-4)
    assert not drawn[:, 1].any() and 0 < drawn[:, 0].sum() < 20
    assert not np.array_equal(drawn[:, 0], drawn[:, 2])


def test_canaries_are_drawn_at_the_plans_rate():
    plan = make_plan(sampling_rate=0.3, steps=400)
    hook = canaries(plan, coordinates=np.arange(50), included=np.ones(50, dtype=bool))
    share = np.mean([hook.drawn(step) for step in range(400)])
    assert abs(share - 0.3) < 6 * np.sqrt(0.21 / 20_000)


def test_observations_survive_a_checkpoint(tmp_path):
    class Stop(Exception):
        pass

    def stop(done, steps):
        if done == 4:
            raise Stop

    whole = canaries(make_plan())
    train(make_model(), **arguments(), hooks=(whole,))
    fields = arguments(checkpoint_every=2) | {"checkpoint_path": tmp_path / "c"}
    with pytest.raises(Stop):
        train(make_model(), **fields, hooks=(canaries(make_plan()),), progress=stop)
    resumed = canaries(make_plan())
    train(make_model(), **fields, hooks=(resumed,))
    assert np.array_equal(resumed.observed, whole.observed) and whole.observed.any(axis=1).all()


@pytest.mark.parametrize(("changes", "text"), [({"coordinates": np.array([1, 1, 2])}, "must be distinct"),
                                               ({"included": np.array([True])}, "one entry a canary")])
def test_bad_canaries_are_refused(changes, text):
    with pytest.raises(InvalidValue, match=text):
        canaries(make_plan(), **changes)
