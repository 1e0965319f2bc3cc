"""Norms and clipped sums against one plain backward pass an example, in float64."""

import pytest
import torch
from torch import nn

from lmodp.models.trainable import set_trainable
from lmodp.training.clipping.engine import ClippingEngine
from lmodp.training.losses import classification_loss
from tests.oracles.clipping_models import BUILDERS, VOCABULARY, build, explicit_gradients, joint_norm, make_batch

RELATIVE = 1e-9
SHAPES = {"padded": [7, 3, 7, 1, 2], "one_example": [5], "length_one": [1, 1], "longer_than_wide": [15, 2, 9]}
PARTS = {
    "head": "head",
    "last_layers": {"last_layers": 1},
    "bitfit": "bitfit",
    "lora": {"lora": {"rank": 3, "alpha": 5}},
}
WITHOUT_BIAS, TIED = ("llama", "llama_classifier"), ("gpt2_tied", "llama_tied_biased", "roberta_lm_tied")


def factor(norm: float, clip_norm: float, clipping: str) -> float:
    if clipping == "automatic":
        return clip_norm / (norm + 0.01)
    return min(1.0, clip_norm / norm) if norm > 0 else 1.0


def expected_sum(gradients, norms, clip_norm, clipping, parameter):
    total = torch.zeros_like(parameter)
    for gradient, norm in zip(gradients, norms, strict=True):
        if parameter in gradient:
            total += factor(float(norm), clip_norm, clipping) * gradient[parameter]
    return total


def compare(model, loss, batch, clipping="flat"):
    """Compare the engine with explicit gradients at a clip norm that clips about half."""
    gradients = explicit_gradients(model, loss, batch)
    norms = torch.stack([joint_norm(gradient) for gradient in gradients])
    clip_norm = 0.83 * float(norms.median()) if norms.median() > 0 else 0.37
    engine = ClippingEngine(model, clip_norm=clip_norm, clipping=clipping)
    found = engine.accumulate(loss, batch, len(norms))
    engine.fill_missing()
    torch.testing.assert_close(found.norms, norms, rtol=RELATIVE, atol=1e-12)
    expected = {value: expected_sum(gradients, norms, clip_norm, clipping, value) for value in engine.parameters}
    whole = torch.stack([value.square().sum() for value in expected.values()]).sum().sqrt()
    for parameter, value in expected.items():
        error = (parameter.grad - value).norm()
        # Key biases and the like have gradients of rounding size: those are held to the whole sum.
        assert error <= RELATIVE * max(value.norm(), 1e-4 * whole)
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BUILDERS)
def test_full_model_equals_explicit_gradients(name, shape):
    model, loss, labels = build(name)
    compare(model, loss, make_batch(labels, SHAPES[shape]))


def has_something_to_train(name: str, part: str) -> bool:
    return not (part == "bitfit" and name in WITHOUT_BIAS) and not (part == "head" and name in TIED)


@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name in BUILDERS for part in PARTS if has_something_to_train(name, part)]
)
def test_every_trainable_part_equals_explicit_gradients(name, part):
    model, loss, labels = build(name)
    set_trainable(model, PARTS[part], seed=3)
    for parameter in model.parameters():
        if parameter.requires_grad:  # adapters start at zero, where half of the gradient vanishes
            parameter.data.add_(torch.full_like(parameter, 0.11))
    model.to(torch.float64)
    compare(model, loss, make_batch(labels, SHAPES["padded"]))


@pytest.mark.parametrize("name", ["roberta", "gpt2_tied", "llama"])
def test_automatic_clipping_equals_explicit_gradients(name):
    model, loss, labels = build(name)
    compare(model, loss, make_batch(labels, SHAPES["padded"]), clipping="automatic")


def test_micro_batches_add_up():
    model, loss, labels = build("gpt2_tied")
    batch = make_batch(labels, [6, 6, 6, 6, 6])
    engine = ClippingEngine(model, clip_norm=0.7, clipping="flat")
    engine.accumulate(loss, batch, 5)
    whole = [parameter.grad.clone() for parameter in engine.parameters]
    engine.zero_grad()
    for piece in (slice(0, 2), slice(2, 2), slice(2, 5)):
        part = {name: value[piece] for name, value in batch.items()}
        engine.accumulate(loss, part, len(part["labels"]))
    for parameter, expected in zip(engine.parameters, whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable")
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", ["roberta", "gpt2_tied"])
def test_gradient_checkpointing_equals_explicit_gradients(name, reentrant):
    model, loss, labels = build(name)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    compare(model, loss, make_batch(labels, SHAPES["padded"]))


class Reused(nn.Module):
    """A module called twice, a weight tied across layer types, and a bias shared with its container."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 6)
        self.mix = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, VOCABULARY)
        self.out.weight = self.embed.weight
        self.bias = self.out.bias

    def forward(self, input_ids, attention_mask):
        hidden = self.norm(torch.tanh(self.mix(self.embed(input_ids))))
        hidden = self.norm(torch.tanh(self.mix(hidden)) + self.embed(input_ids.flip(1)))
        return self.out((hidden * attention_mask[..., None]).sum(1))


@pytest.mark.parametrize("lengths", [[4, 2, 4], [30, 9], [1, 1, 1]])
def test_reused_and_tied_modules(lengths):
    torch.manual_seed(2)
    model = Reused().double()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    compare(model, classification_loss, make_batch("label", lengths))


def test_large_clip_norm_equals_the_plain_gradient():
    model, loss, labels = build("bert")
    batch = make_batch(labels, SHAPES["padded"])
    engine = ClippingEngine(model, clip_norm=1e30, clipping="flat")
    found = engine.accumulate(loss, batch, 5)
    summed = [parameter.grad.clone() for parameter in engine.parameters]
    engine.zero_grad()
    loss(model, batch).sum().backward()
    assert found.clipped == 0
    for value, parameter in zip(summed, engine.parameters, strict=True):
        torch.testing.assert_close(value, parameter.grad, rtol=1e-9, atol=1e-12)
