"""Perplexity against one sentence at a time, in float64."""

import math

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lmodp.tasks.accuracy import unpack_losses
from lmodp.tasks.perplexity import perplexity
from lmodp.training import TokenColumns

ROWS = [[1, 2, 3, 4, 0], [5, 6, 0], [2, 2, 2, 7, 8, 9, 0]]
PROMPTS = [2, 1, 4]


def small_model():
    torch.manual_seed(5)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=10, n_positions=16, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
    )


def examples(rows, prompts):
    labels = [[-100] * prompt + row[prompt:] for row, prompt in zip(rows, prompts, strict=True)]
    return TokenColumns({"input_ids": rows, "labels": labels}, padding={"input_ids": 0})


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_perplexity(batch_size):
    model = small_model().eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row, prompt in zip(ROWS, PROMPTS, strict=True):
            logs = model.double()(torch.tensor([row])).logits[0].log_softmax(-1)
            for place in range(prompt, len(row)):
                total, count = total - float(logs[place - 1, row[place]]), count + 1
    found = perplexity(model.float(), examples(ROWS, PROMPTS), batch_size=batch_size)
    assert found["target_tokens"] == count == 8
    assert found["loss"] == pytest.approx(total / count, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-5)
    losses, tokens = unpack_losses(found["losses"])
    assert tokens.sum() == count and losses.sum() == pytest.approx(total, rel=1e-5) and len(tokens) == len(ROWS)


def test_no_targets_no_number():
    found = perplexity(small_model(), examples([[1, 2]], [2]), batch_size=1)
    assert unpack_losses(found.pop("losses")).tolist() == [[0.0], [0.0]]
    assert found == {
        "perplexity": None,
        "loss": None,
        "target_tokens": 0,
        "reasons": {"perplexity": "no example has a target token within max_length"},
    }


def test_too_large_for_a_number_says_so():
    model = small_model()
    with torch.no_grad():
        for value in model.parameters():
            value *= 1e4
    found = perplexity(model, examples(ROWS, PROMPTS), batch_size=3)
    assert found["perplexity"] is None and "whose exponential is no number" in found["reasons"]["perplexity"]
