"""Norms and clipped sums against one plain backward pass an example, in float64."""

from __future__ import annotations

import pytest
import torch

from lmodp.training.clipping import ClippingEngine
from tests.oracles.clipping_models import BUILDERS, build, explicit_gradients, joint_norm, make_batch

RELATIVE = 1e-9
SHAPES = {"padded": [7, 3, 7, 1, 2], "one_example": [5], "length_one": [1, 1], "longer_than_wide": [15, 2, 9]}


def clipped_sum(gradients, norms, clip_norm, parameter):
    total = torch.zeros_like(parameter)
    for gradient, norm in zip(gradients, norms, strict=True):
        if parameter in gradient:
            total += min(1.0, clip_norm / max(float(norm), 1e-300)) * gradient[parameter]
    return total


def compare(model, loss, batch):
    """Compare the engine with explicit gradients at a clip norm that clips about half."""
    gradients = explicit_gradients(model, loss, batch)
    norms = torch.stack([joint_norm(gradient) for gradient in gradients])
    clip_norm = 0.83 * float(norms.median()) if norms.max() > 0 else 0.37
    engine = ClippingEngine(model, clip_norm=clip_norm, clipping="flat")
    found = engine.accumulate(loss, batch, len(norms))
    engine.fill_missing()
    torch.testing.assert_close(found.norms, norms, rtol=RELATIVE, atol=1e-12)
    for parameter in engine.parameters:
        expected = clipped_sum(gradients, norms, clip_norm, parameter)
        scale = clip_norm * len(norms)
        torch.testing.assert_close(parameter.grad, expected, rtol=RELATIVE, atol=RELATIVE * 1e-3 * scale)
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BUILDERS)
def test_full_model_equals_explicit_gradients(name, shape):
    model, loss, labels = build(name)
    found = compare(model, loss, make_batch(labels, SHAPES[shape]))
    assert torch.isfinite(found.norms).all()
