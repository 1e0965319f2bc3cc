"""A token, label or position that the model has no place for is told by name and value, at every door."""

import pytest
import torch

from lmodp.errors import InvalidValue, Unsupported
from lmodp.models.trainable import set_trainable
from lmodp.training import ClippingEngine
from lmodp.training.clipping.engine import PlainEngine
from tests.oracles.clipping_models import VOCABULARY, build, make_batch


def clipped(model, loss, batch):
    ClippingEngine(model, clip_norm=0.1, clipping="flat").accumulate(loss, batch, len(batch["labels"]))


def plain(model, loss, batch):
    PlainEngine(model).accumulate(loss, batch, len(batch["labels"]))


def alone(model, loss, batch):
    """Only the loss, as another engine calls it."""
    loss(model, batch)


DOORS = pytest.mark.parametrize("door", [clipped, plain, alone])
TOKENS = [
    ("roberta", "roberta.embeddings.word_embeddings"),
    ("gpt2_tied", "transformer.wte"),
    ("llama", "embed_tokens"),
]


@DOORS
@pytest.mark.parametrize(("name", "table"), TOKENS)
@pytest.mark.parametrize("token", [VOCABULARY, 900, -1])
def test_a_token(door, name, table, token):
    model, loss, labels = build(name, dtype=torch.float32)
    batch = make_batch(labels, [5, 4])
    batch["input_ids"][1, 2] = token
    rule = rf"index of \S*{table} = {token}: must be from 0 to {VOCABULARY - 1}. Take the model's own tokenizer"
    with pytest.raises(InvalidValue, match=rule):
        door(model, loss, batch)


@DOORS
@pytest.mark.parametrize(("name", "label"), [("roberta", 3), ("roberta", -1), ("llama", VOCABULARY)])
def test_a_label(door, name, label):
    model, loss, labels = build(name, dtype=torch.float32)
    batch = make_batch(labels, [5, 4])
    batch["labels"].view(2, -1)[1, -3 if labels == "tokens" else 0] = label
    with pytest.raises(InvalidValue, match=f"label = {label}: the model has no such class or token. Number the"):
        door(model, loss, batch)


@DOORS
@pytest.mark.parametrize("name", ["roberta", "bert", "gpt2_tied"])
def test_a_position(door, name):
    model, loss, labels = build(name, dtype=torch.float32)
    rule = r"(length = 24: the model has 20 positions|index of \S+ = 2\d: ).*\(max_length\)"
    with pytest.raises(InvalidValue, match=rule):
        door(model, loss, make_batch(labels, [24, 23]))


def test_parts_of_16_and_of_32_bits_that_do_not_meet():
    model, loss, labels = build("roberta", dtype=torch.bfloat16)
    set_trainable(model, "head", seed=0)
    with pytest.raises(Unsupported, match="parts of 16 and of 32 bits.*Set precision: bfloat16"):
        clipped(model, loss, make_batch(labels, [4, 3]))


def test_another_error_stays_itself():
    model, _, labels = build("roberta", dtype=torch.float32)

    def loss(model, batch):
        raise IndexError("list index out of range")

    with pytest.raises(IndexError, match="list index"):
        plain(model, loss, make_batch(labels, [4, 3]))
