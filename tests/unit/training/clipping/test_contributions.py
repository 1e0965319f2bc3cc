"""Positions that nobody's loss depends on are left out, exactly."""

import math

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from lmodp.training.clipping.contributions import live_positions
from lmodp.training.clipping.recording import recording, tapped_layers


def dense(*shape):
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("place", [0, 3, 7])
def test_positions_without_a_gradient_are_left_out(place):
    inputs, grad = dense(3, 8, 5), torch.zeros(3, 8, 4, dtype=torch.float64)
    grad[1, place, 2] = 2.0  # feature 0 alone would show nothing at all
    kept_inputs, kept = live_positions(inputs, grad)
    assert torch.equal(kept, grad[:, place : place + 1]) and torch.equal(kept_inputs, inputs[:, place : place + 1])


def test_positions_that_one_feature_hides_are_kept():
    grad = torch.zeros(2, 8, 3)
    grad[0, 2, 0] = 1.0
    grad[1, 5, 1] = -1.0
    ids, kept = live_positions(torch.arange(16).reshape(2, 8), grad)
    assert torch.equal(kept, grad[:, 2:6]) and torch.equal(ids, torch.tensor([[2, 3, 4, 5], [10, 11, 12, 13]]))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e-38])
def test_what_is_not_finite_or_tiny_counts_as_a_gradient(value):
    grad = torch.zeros(2, 8, 3)
    grad[1, 6, 2] = value
    assert bool(live_positions(None, grad)[1][1, 0, 2].isnan()) == math.isnan(value)
    assert live_positions(None, grad)[1].shape == (2, 1, 3)


def test_a_dense_gradient_is_passed_on_as_it_is():
    inputs, grad = dense(2, 8, 5), dense(2, 8, 4)
    grad[:, 5:] = 0  # more than half is left
    assert all(after is before for after, before in zip(live_positions(inputs, grad), (inputs, grad), strict=True))


def test_a_gradient_of_zero_keeps_one_position():
    inputs, grad = live_positions(dense(2, 8, 5), torch.zeros(2, 8, 4))
    assert inputs.shape == (2, 1, 5) and grad.shape == (2, 1, 4)


def test_above_the_last_attention_a_classifier_leaves_one_position():
    torch.manual_seed(2)
    config = BertConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        vocab_size=30,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForSequenceClassification(config)
    with recording(tapped_layers(model), 3) as recorded:
        logits = model(torch.randint(1, 30, (3, 8))).logits
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 0]), reduction="sum").backward()
    lengths = {
        name: recorded.parts[parameter][0].left.shape[1]
        for name, parameter in model.named_parameters()
        if name.endswith("weight") and "layer" in name and parameter in recorded.parts
    }
    one = {name for name, length in lengths.items() if length == 1}
    last = "bert.encoder.layer.1."
    assert one == {
        last + name
        for name in (
            "attention.self.query.weight",
            "attention.output.dense.weight",
            "intermediate.dense.weight",
            "output.dense.weight",
        )
    }
    assert {lengths[name] for name in set(lengths) - one} == {8}
