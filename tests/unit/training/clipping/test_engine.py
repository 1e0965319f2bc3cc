"""Guarantees and edge cases of the clipping engine."""

import math

import pytest
import torch
from torch import nn

from lmodp.errors import InvalidValue, Unsupported
from lmodp.training.clipping.contributions import Explicit
from lmodp.training.clipping.engine import ClippingEngine, clip_factors
from lmodp.training.clipping.rules import RULES, full_name, layer_rule
from lmodp.training.losses import classification_loss, in_precision
from tests.oracles.clipping_models import build, make_batch
from tests.unit.training.small import make_examples, make_model

NORMS = torch.tensor([0.0, 0.3, 2.0, math.inf, math.nan])


def test_flat_factors():
    found = clip_factors(NORMS, clip_norm=0.5, clipping="flat")
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, 0.25, 0.0, 0.0]))


def test_automatic_factors():
    found = clip_factors(NORMS, clip_norm=0.5, clipping="automatic")
    torch.testing.assert_close(found, torch.tensor([50.0, 0.5 / 0.31, 0.5 / 2.01, 0.0, 0.0]))


@pytest.mark.parametrize("clipping", ["flat", "automatic"])
def test_sensitivity_is_the_clip_norm(clipping):
    norms = torch.logspace(-12, 12, 2001)
    bounded = norms * clip_factors(norms, clip_norm=0.3, clipping=clipping)
    assert bounded.max() <= 0.3 * (1 + 3e-7)
    assert bounded.max() > 0.29


def test_unknown_clipping_is_refused():
    with pytest.raises(InvalidValue, match="clipping = 'hard'"):
        clip_factors(NORMS, clip_norm=1.0, clipping="hard")


@pytest.mark.parametrize("clipping", ["flat", "automatic"])
def test_one_example_moves_the_sum_by_at_most_the_clip_norm(clipping):
    model, examples = make_model(), make_examples()
    engine = ClippingEngine(model, clip_norm=0.4, clipping=clipping)
    sums = []
    for count in (19, 20):
        engine.zero_grad()
        engine.accumulate(classification_loss, examples.batch(range(count)), count)
        sums.append(torch.cat([parameter.grad.reshape(-1) for parameter in engine.parameters]))
    assert (sums[1] - sums[0]).norm() <= 0.4 * (1 + 1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["roberta", "gpt2_tied", "llama"])
def test_an_example_that_is_not_finite_is_left_out_and_harms_nobody(name, bad):
    model, loss, labels = build(name, dtype=torch.float32)
    batch = make_batch(labels, [4, 6, 5])
    engine = ClippingEngine(model, clip_norm=0.4, clipping="flat")

    def poisoned(model, batch):
        losses = loss(model, batch)
        return losses * torch.where(torch.arange(len(losses)) == 1, bad, 1.0)

    found = engine.accumulate(poisoned, batch, 3)
    engine.fill_missing()
    sums = [parameter.grad.clone() for parameter in engine.parameters]
    engine.zero_grad()
    for index in (0, 2):
        engine.accumulate(loss, {key: value[index : index + 1] for key, value in batch.items()}, 1)
    assert found.non_finite == 1 and found.factors[1] == 0
    for value, parameter in zip(sums, engine.parameters, strict=True):
        torch.testing.assert_close(value, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["roberta", "gpt2_tied"])
def test_where_no_example_is_finite_the_sum_is_zero(name, precision):
    model, loss, labels = build(name, dtype=torch.float32)
    engine = ClippingEngine(model, clip_norm=0.4, clipping="flat")
    nothing = in_precision(lambda model, batch: math.nan * loss(model, batch), precision)
    assert engine.accumulate(nothing, make_batch(labels, [4, 2]), 2).non_finite == 2
    engine.fill_missing()
    assert all(not parameter.grad.any() for parameter in engine.parameters)


def test_inputs_that_are_not_finite_are_left_out():
    model = make_model()
    batch = make_examples().batch([0, 1, 2])
    batch["x"][1] = math.inf
    engine = ClippingEngine(model, clip_norm=0.4, clipping="flat")
    found = engine.accumulate(classification_loss, batch, 3)
    assert found.non_finite == 1
    assert all(torch.isfinite(parameter.grad).all() for parameter in engine.parameters)


def test_empty_batch_adds_nothing():
    engine = ClippingEngine(make_model(), clip_norm=0.4, clipping="flat")
    found = engine.accumulate(classification_loss, make_examples().batch([]), 0)
    assert len(found.norms) == 0 and found.clipped == found.non_finite == 0
    assert all(parameter.grad is None for parameter in engine.parameters)
    engine.fill_missing()
    assert all(not parameter.grad.any() for parameter in engine.parameters)


def test_a_mean_loss_is_refused():
    engine = ClippingEngine(make_model(), clip_norm=0.4, clipping="flat")
    with pytest.raises(InvalidValue, match=r"loss = shape \(\): must be one loss an example"):
        engine.accumulate(lambda model, batch: model(batch["x"]).mean(), make_examples().batch([0, 1]), 2)
    assert all(parameter.requires_grad for parameter in engine.parameters)


def test_the_model_is_left_as_it_was():
    model = make_model()
    engine = ClippingEngine(model, clip_norm=0.4, clipping="flat")
    engine.accumulate(classification_loss, make_examples().batch([0, 1]), 2)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model(torch.ones(1, 6)), make_model()(torch.ones(1, 6)))


def test_where_no_trained_layer_takes_part_the_sum_is_zero():
    model = make_model()
    engine = ClippingEngine(model, clip_norm=0.4, clipping="flat")
    found = engine.accumulate(lambda model, batch: batch["x"].sum(1), make_examples().batch([0, 1]), 2)
    engine.fill_missing()
    assert found.norms.tolist() == [0, 0]
    assert all(not parameter.grad.any() for parameter in engine.parameters)


def test_weights_of_any_layout():
    model, examples = make_model(), make_examples()
    turned = make_model()
    turned.first.weight = nn.Parameter(turned.first.weight.detach().t().contiguous().t())
    sums = []
    for one in (model, turned):
        engine = ClippingEngine(one, clip_norm=0.4, clipping="flat")
        engine.accumulate(classification_loss, examples.batch(range(9)), 9)
        sums.append([parameter.grad for parameter in engine.parameters])
    for first, second in zip(*sums, strict=True):
        torch.testing.assert_close(first, second)
        assert second.is_contiguous()


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((6,), 1.5))

    def forward(self, x):
        return x * self.scale


def test_an_unsupported_layer_is_named_before_training():
    model = nn.Sequential(nn.Linear(6, 6), Scale(), nn.Conv2d(1, 1, 1))
    with pytest.raises(Unsupported) as caught:
        ClippingEngine(model, clip_norm=1.0, clipping="flat")
    text = str(caught.value)
    assert "1 (Scale) trains scale" in text and "2 (Conv2d) trains weight, bias" in text
    assert "Freeze it" in text and "layer_rule" in text and "Linear" not in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_norm": 1.0}, "max_norm"),
        ({"sparse": True}, "sparse"),
        ({"scale_grad_by_freq": True}, "scale_grad_by_freq"),
    ],
)
def test_embeddings_that_mix_examples_are_refused(options, reason):
    with pytest.raises(Unsupported, match=reason):
        ClippingEngine(nn.Embedding(5, 3, **options), clip_norm=1.0, clipping="flat")


def test_a_norm_over_several_dimensions_is_refused():
    with pytest.raises(Unsupported, match="more than the last dimension"):
        ClippingEngine(nn.LayerNorm((3, 4)), clip_norm=1.0, clipping="flat")


def test_a_rule_of_ones_own():
    @layer_rule(Scale, inputs_for={"scale"})
    def scale(module, inputs, grad, wanted):
        return {"scale": Explicit((grad * inputs).sum(1))}

    try:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(6, 6), Scale(), nn.Linear(6, 3)).double()

        def loss(model, batch):
            return nn.functional.cross_entropy(model(batch["x"]), batch["labels"], reduction="none")

        batch = {"x": torch.randn(2, 6, dtype=torch.float64), "labels": torch.tensor([0, 2])}
        engine = ClippingEngine(model, clip_norm=1e9, clipping="flat")
        engine.accumulate(loss, batch, 2)
        expected = torch.autograd.grad(loss(model, batch).sum(), model[1].scale)[0]
        torch.testing.assert_close(model[1].scale.grad, expected)
    finally:
        del RULES[full_name(Scale)]


class Flattens(nn.Module):
    """One matrix on all positions one after another, as in OPT; or on positions first, examples second."""

    def __init__(self, *, turned):
        super().__init__()
        self.turned, self.inner = turned, nn.Linear(3, 3)

    def forward(self, x):
        rows = x.unflatten(1, (-1, 3))
        if self.turned:
            return self.inner(rows.transpose(0, 1)).transpose(0, 1).flatten(1)
        return self.inner(rows.flatten(0, 1)).reshape(len(x), -1)


def summed(model, batch):
    return torch.tanh(model(batch["x"])).sum(1)


def test_a_layer_that_does_not_see_examples_first_is_named():
    engine = ClippingEngine(Flattens(turned=True), clip_norm=1.0, clipping="flat")
    with pytest.raises(Unsupported, match=r"inner \(Linear\) saw a tensor of shape \(5, 2, 3\).*the 2 examples"):
        engine.accumulate(summed, {"x": torch.randn(2, 15)}, 2)


@pytest.mark.parametrize(("size", "positions"), [(1, 4), (2, 1), (2, 2), (3, 3), (4, 2)])
def test_rows_of_all_examples_one_after_another_are_told_apart(size, positions):
    torch.manual_seed(1)
    model, batch = Flattens(turned=False).double(), {"x": torch.randn(size, 3 * positions, dtype=torch.float64)}
    found = ClippingEngine(model, clip_norm=1.0, clipping="flat").accumulate(summed, batch, size)
    gradients = (torch.autograd.grad(summed(model, {"x": row[None]}).sum(), model.parameters()) for row in batch["x"])
    norms = [torch.cat([value.flatten() for value in gradient]).norm() for gradient in gradients]
    torch.testing.assert_close(found.norms, torch.stack(norms))


def test_bfloat16_autocast_keeps_float32_norms_and_sums():
    model, loss, labels = build("roberta", dtype=torch.float32)
    batch = make_batch(labels, [7, 3, 5])
    engine = ClippingEngine(model, clip_norm=0.4, clipping="flat")
    exact = engine.accumulate(loss, batch, 3).norms
    engine.zero_grad()
    found = engine.accumulate(in_precision(loss, "bfloat16"), batch, 3)
    assert found.norms.dtype == torch.float32
    assert all(parameter.grad.dtype == torch.float32 for parameter in engine.parameters if parameter.grad is not None)
    torch.testing.assert_close(found.norms, exact, rtol=0.05, atol=0)
    assert not torch.equal(found.norms, exact)


def test_clipped_sum_in_bfloat16_respects_the_bound():
    model, loss, labels = build("roberta", dtype=torch.float32)
    engine = ClippingEngine(model, clip_norm=0.3, clipping="flat")
    engine.accumulate(in_precision(loss, "bfloat16"), make_batch(labels, [9]), 1)
    engine.fill_missing()
    total = torch.cat([parameter.grad.reshape(-1) for parameter in engine.parameters]).norm()
    assert 0.3 * 0.99 < total <= 0.3 * (1 + 1e-4)
