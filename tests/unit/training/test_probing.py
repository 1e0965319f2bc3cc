"""Seams for audits: a step of zero gradients, and hooks within a run."""

import numpy as np
import pytest
import torch

from lmodp.mechanisms import Gaussian
from lmodp.training import train
from lmodp.training.noise import draw
from lmodp.training.probes import probe_step
from lmodp.training.randomness import device_generator, stream_key
from tests.unit.training.small import SEEDS, arguments, make_model


def test_a_probed_step_releases_the_noise_alone():
    model = make_model()
    released = probe_step(model, **arguments(), step=3)
    generator = device_generator(stream_key(SEEDS["noise"], randomness="seeded"), "noise", 3)
    expected = torch.cat(
        [draw(Gaussian(std=0.7), tuple(value.shape), generator).reshape(-1) for value in model.parameters()]
    )
    np.testing.assert_allclose(released, 0.4 * expected.numpy(), rtol=1e-5, atol=1e-7)
    assert all(value.grad is None and value.requires_grad for value in model.parameters())


def test_hooks_carry_their_state_over_a_checkpoint(tmp_path):
    class Stop(Exception):
        pass

    class Sums:
        def __init__(self):
            self.sums = []

        def before_noise(self, step, parameters):
            pass

        def after_noise(self, step, parameters, scale):
            self.sums.append(float(parameters[0].grad.sum()))

        def state(self):
            return {"sums": list(self.sums)}

        def restore(self, state):
            self.sums = list(state["sums"])

    def stop(done, steps):
        if done == 4:
            raise Stop

    whole, resumed = Sums(), Sums()
    train(make_model(), **arguments(), hooks=(whole,))
    fields = arguments(checkpoint_every=3) | {"checkpoint_path": tmp_path / "c"}
    with pytest.raises(Stop):
        train(make_model(), **fields, hooks=(Sums(),), progress=stop)
    train(make_model(), **fields, hooks=(resumed,))
    assert resumed.sums == whole.sums and len(whole.sums) == 7
