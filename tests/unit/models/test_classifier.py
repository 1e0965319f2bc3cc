"""Pooling: the native one equals transformers' own forward pass, the others are what they say."""

import pytest
import torch

from lmodp.errors import InvalidValue, Unsupported
from lmodp.models.classifier import SequenceClassifier, pool
from tests.oracles.clipping_models import build, make_batch

NAMES = ("roberta", "bert", "llama_classifier")


def inputs(lengths=(7, 3, 5)):
    return {name: value for name, value in make_batch("label", list(lengths)).items() if name != "labels"}


@pytest.mark.parametrize("name", NAMES)
def test_native_pooling_equals_transformers(name):
    model, _, _ = build(name, dtype=torch.float32)
    model.eval()
    expected, found = model(**inputs()).logits, SequenceClassifier(model)(**inputs())
    if name == "llama_classifier":  # transformers scores every position, we score one: another product shape
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    else:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
def test_padding_does_not_change_the_logits(name, pooling):
    model, _, _ = build(name)
    classifier = SequenceClassifier(model.eval(), pooling)
    padded, alone = inputs((7, 3)), inputs((3,))
    alone = {key: value[1:, :3] for key, value in padded.items()}
    torch.testing.assert_close(classifier(**padded)[1:], classifier(**alone), rtol=1e-6, atol=1e-6)


def test_pooled_states_by_hand():
    hidden = torch.arange(12.0).view(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert pool(hidden, mask, "first").tolist() == [[0, 1], [6, 7]]
    assert pool(hidden, mask, "mean").tolist() == [[1, 2], [8, 9]]
    assert pool(hidden, mask, "last").tolist() == [[2, 3], [10, 11]]


def test_an_example_without_tokens_is_pooled_to_zero():
    hidden, mask = torch.ones(1, 2, 3), torch.zeros(1, 2)
    assert not pool(hidden, mask, "mean").any()


@pytest.mark.parametrize("name", NAMES)
def test_the_head_reads_a_cached_pooled_state(name):
    model, _, _ = build(name, dtype=torch.float32)
    classifier = SequenceClassifier(model.eval(), "mean")
    pooled = classifier.pooled_state(**inputs())
    assert torch.equal(classifier(pooled=pooled), classifier(**inputs()))


def test_unknown_pooling_and_model_are_refused():
    model, _, _ = build("bert")
    with pytest.raises(InvalidValue, match="pooling = 'max'.*Known: first, last, mask, mean"):
        SequenceClassifier(model, "max")
    with pytest.raises(Unsupported, match="model_type = 'Linear': no list of blocks"):
        SequenceClassifier(torch.nn.Linear(1, 1))
