"""The check of two examples catches what hooks cannot see."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lmodp.errors import Unsupported
from lmodp.training.clipping.engine import ClippingEngine
from lmodp.training.losses import classification_loss
from tests.oracles.clipping_models import BUILDERS, build, make_batch
from tests.unit.training.small import Classifier, make_examples, make_model


class UsesWeightElsewhere(Classifier):
    def forward(self, x):
        return super().forward(x) + (x @ self.first.weight.T)[:, :3]


class MixesExamples(Classifier):
    def forward(self, x):
        return super().forward(x - 0.5 * x.flip(0))


def check(model):
    batch = make_examples().batch([0, 1])
    ClippingEngine(model, clip_norm=0.1, clipping="flat").check(classification_loss, batch)


@pytest.mark.parametrize("kind", [UsesWeightElsewhere, MixesExamples])
def test_wrong_norms_are_refused(kind):
    torch.manual_seed(2)
    with pytest.raises(Unsupported, match="used outside its layer, or a layer mixes the examples"):
        check(kind())


def test_sound_models_pass_and_keep_their_state():
    model = make_model(dropout=0.5).train()
    check(model)
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", BUILDERS)
def test_every_architecture_passes(name):
    model, loss, labels = build(name, dtype=torch.float32)
    ClippingEngine(model, clip_norm=0.1, clipping="flat").check(loss, make_batch(labels, [5, 3]))


def test_vanishing_gradients_pass():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    model[1].weight.data.zero_()
    engine = ClippingEngine(model, clip_norm=1.0, clipping="flat")
    engine.check(lambda model, batch: 0.0 * model(batch["x"]).sum(1), {"x": torch.randn(2, 6)})
