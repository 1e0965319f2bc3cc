"""The frozen prefix: found where it is, cached with the same results, spilled past its bound."""

import numpy as np
import pytest
import torch
from transformers import ConvBertConfig, ConvBertForSequenceClassification

from lmodp.errors import Unsupported
from lmodp.models.classifier import SequenceClassifier
from lmodp.models.prefix import CachedActivations, Prefix, find_prefix, prefix_states, suffix_of
from lmodp.models.trainable import set_trainable
from lmodp.training import ClippingEngine, TensorExamples, TokenColumns
from tests.oracles.clipping_models import build, make_batch

LENGTHS = [7, 3, 7, 1, 2]
CLASSIFIERS = ("roberta", "bert", "llama_classifier")


def problem(name, part, pooling=None):
    model, loss, labels = build(name, dtype=torch.float32)
    if name in CLASSIFIERS:
        model = SequenceClassifier(model, pooling)
    set_trainable(model, part, seed=1)
    batch = make_batch(labels, LENGTHS)
    rows = [batch["input_ids"][index, :length].tolist() for index, length in enumerate(LENGTHS)]
    if labels == "label":
        examples = TokenColumns(
            {"input_ids": rows}, padding={"input_ids": 1}, values={"labels": batch["labels"].tolist()}
        )
    else:
        examples = TokenColumns({"input_ids": rows, "labels": rows}, padding={"input_ids": 1})
    return model, loss, examples


def cache_prefix(model, examples, *, batch_size=64, folder=None):
    """The rest of a model and the cached outputs of its frozen prefix, as the stages put them together."""
    prefix = find_prefix(model)
    (states,) = prefix_states(model, examples, [prefix], batch_size=batch_size, folder=folder)
    if not prefix.pooled:
        return suffix_of(model, prefix.blocks), CachedActivations(states, examples)
    values = {name: torch.from_numpy(values) for name, values in examples.values.items()}
    return model, TensorExamples({"pooled": states, **values})


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        ("roberta", "head", (2, True)),
        ("roberta", {"last_layers": 1}, (1, False)),
        ("bert", "head", (2, True)),
        ("llama_classifier", "head", (2, True)),
        ("llama_classifier", {"last_layers": 1}, (1, False)),
        ("llama", "head", (2, False)),
        ("gpt2_tied", {"last_layers": 1}, (1, False)),
    ],
)
def test_the_prefix_is_found(name, part, expected):
    assert find_prefix(problem(name, part)[0]) == Prefix(*expected)


@pytest.mark.parametrize(
    ("name", "part", "reason"),
    [
        ("roberta", "full", "embeddings are trained"),
        ("roberta", {"last_layers": 2}, "first block"),
        ("bert", "lora", "first block"),
        ("gpt2_tied", "bitfit", "first block"),
    ],
)
def test_no_prefix_has_a_reason(name, part, reason):
    model, _, _ = problem(name, part)
    assert find_prefix(model).blocks == 0 and reason in find_prefix(model).reason


def test_dropout_forbids_a_cache():
    model, _, _ = problem("roberta", "head")
    model.config.attention_probs_dropout_prob = 0.1
    assert "attention_probs_dropout_prob" in find_prefix(model).reason


CASES = [
    ("roberta", "head", "mean"),
    ("roberta", "head", "first"),
    ("roberta", {"last_layers": 1}, "mean"),
    ("bert", "head", "mean"),
    ("bert", {"last_layers": 1}, None),
    ("llama_classifier", "head", "mean"),
    ("llama_classifier", {"last_layers": 1}, None),
    ("llama", "head", None),
    ("llama", {"last_layers": 1}, None),
    ("gpt2_tied", {"last_layers": 1}, None),
]


@pytest.mark.parametrize(("name", "part", "pooling"), CASES)
def test_losses_and_clipped_sums_are_the_same(name, part, pooling):
    model, loss, examples = problem(name, part, pooling)
    suffix, cached = cache_prefix(model, examples, batch_size=2)
    indices, sums = np.array([3, 0, 2, 1, 4]), []
    for network, source in ((model, examples), (suffix, cached)):
        engine = ClippingEngine(network, clip_norm=0.2, clipping="flat")
        found = engine.accumulate(loss, source.batch(indices), len(indices))
        engine.fill_missing()
        sums.append(
            (found.losses, found.norms, *(value.grad.clone() for value in model.parameters() if value.requires_grad))
        )
        engine.zero_grad()
    for whole, short in zip(*sums, strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-4, atol=1e-6)


def test_the_model_stays_whole():
    model, loss, examples = problem("gpt2_tied", {"last_layers": 1})
    batch = examples.batch(np.arange(5))
    before = loss(model, batch).detach()
    cache_prefix(model, examples)
    assert torch.equal(loss(model, batch), before) and len(model.transformer.h) == 2


def test_training_the_suffix_trains_the_model():
    model, loss, examples = problem("roberta", {"last_layers": 1})
    suffix, cached = cache_prefix(model, examples)
    with torch.no_grad():
        for value in suffix.parameters():
            value.add_(0.01) if value.requires_grad else None
    indices = np.arange(5)
    torch.testing.assert_close(
        loss(model, examples.batch(indices)), loss(suffix, cached.batch(indices)), rtol=1e-5, atol=1e-6
    )


def test_past_the_bound_the_cache_is_on_disk_and_the_same(tmp_path, monkeypatch):
    model, _, examples = problem("roberta", {"last_layers": 1})
    _, inside = cache_prefix(model, examples)
    monkeypatch.setattr("lmodp.models.prefix.MEMORY_BOUND", 100)
    _, outside = cache_prefix(model, examples, folder=tmp_path / "scratch")
    indices = np.array([4, 0, 2])
    for name, value in inside.batch(indices).items():
        assert torch.equal(value, outside.batch(indices)[name])
    assert list((tmp_path / "scratch").iterdir()) == []


def test_caching_keeps_the_mode():
    model, _, examples = problem("roberta", "head")
    model.train()
    cache_prefix(model, examples)
    assert model.training


def test_prefixes_that_share_a_pass_are_those_of_passes_of_their_own():
    """To the bit: a head's pooled states and the states below the last layer."""
    alone, prefixes = [], []
    for part in ("head", {"last_layers": 1}):
        model, _, examples = problem("roberta", part, pooling="mean")
        _, cached = cache_prefix(model, examples, batch_size=2)
        alone.append(cached.tensors["pooled"] if part == "head" else cached.store)
        prefixes.append(find_prefix(model))
    calls = []
    model.model.roberta.encoder.layer[0].register_forward_hook(lambda *_: calls.append(1))
    together = prefix_states(model, examples, prefixes, batch_size=2, folder=None)
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    assert len(calls) == 3 + 1 + 5, "five examples by two, once for both; and all together, and each alone"


def test_a_prefix_whose_states_depend_on_padding_is_refused():
    """ConvBERT convolves over the padding of a batch, so a longer text changes the others' cached states."""
    config = ConvBertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
        embedding_size=16, initializer_range=0.3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        num_labels=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = SequenceClassifier(ConvBertForSequenceClassification(config))
    set_trainable(model, "head", seed=1)
    rows = [[5, 6, 7, 8]] * 70 + [[9] * 30]
    examples = TokenColumns({"input_ids": rows}, padding={"input_ids": 0}, values={"labels": np.zeros(71, dtype=int)})
    with pytest.raises(Unsupported, match="what the frozen layers make of one text changes"):
        prefix_states(model, examples, [Prefix(2, True)], batch_size=64, folder=None)
