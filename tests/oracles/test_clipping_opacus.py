"""Norms and clipped sums against Opacus, on the architecture that it trains unchanged."""

import pytest
import torch

from lmodp.models.trainable import set_trainable
from lmodp.training.clipping.engine import ClippingEngine
from tests.oracles.clipping_models import build, make_batch

opacus = pytest.importorskip("opacus")
CLIP_NORM = 1.7


def opacus_gradients(model, loss, batch):
    """Return Opacus's per-example gradients, parameter -> (B, *shape)."""
    wrapped = opacus.GradSampleModule(model, loss_reduction="sum", strict=False)
    loss(wrapped, batch).sum().backward()
    samples = {parameter: parameter.grad_sample for parameter in model.parameters() if parameter.requires_grad}
    wrapped.remove_hooks()
    for parameter in samples:
        parameter.grad, parameter.grad_sample = None, None
    return samples


@pytest.mark.parametrize("part", ["full", "head", "bitfit", {"last_layers": 1}])
@pytest.mark.filterwarnings("ignore")
def test_roberta_agrees_with_opacus(part):
    model, loss, labels = build("roberta")
    set_trainable(model, part, seed=1)
    batch = make_batch(labels, [7, 3, 7, 1, 2])
    samples = opacus_gradients(model, loss, batch)
    norms = sum(value.flatten(1).square().sum(1) for value in samples.values()).sqrt()
    engine = ClippingEngine(model, clip_norm=CLIP_NORM, clipping="flat")
    found = engine.accumulate(loss, batch, 5)
    torch.testing.assert_close(found.norms, norms, rtol=1e-9, atol=0)
    assert 0 < found.clipped
    for parameter in engine.parameters:
        expected = torch.einsum("b,b...->...", (CLIP_NORM / norms).clamp(max=1), samples[parameter])
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-11)
