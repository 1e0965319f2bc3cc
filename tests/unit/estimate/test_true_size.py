"""Models at their true size, without weights: counts with a source, clipping rules and work."""

import pytest
import torch
from torch import nn
from transformers import AutoModel

from lmodp.estimate import true_size as module
from lmodp.estimate.shapes import shape_of
from lmodp.estimate.true_size import build_at_true_size, training_flops, true_size
from lmodp.models.cards import MODELS

ADAPTERS = {"lora": {"rank": 8, "alpha": 16}}


def size(name, classes, trainable="full", **options):
    pooling = "last" if MODELS[name].generates else "first"
    return true_size(
        MODELS[name],
        classes=classes,
        trainable=trainable,
        pooling=pooling,
        max_length=100,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("roberta_large", 2, 355361794),
        ("gpt2", None, 124439808),
        ("llama2_7b", None, 6738415616),
        ("roberta_base", 2, 124647170),
        ("bert_base", 2, 108311810),
        ("bert_large", 2, 333581314),
    ],
)
def test_true_sizes_and_a_rule_for_every_layer(name, classes, parameters):
    found = size(name, classes)
    assert found.parameters == found.trainable == parameters
    assert found.problem is None and found.tapped > 70


@pytest.mark.parametrize("name", [name for name, card in MODELS.items() if card.parameters is not None])
def test_the_cards_count_the_pretrained_model(name):
    card = MODELS[name]
    model = build_at_true_size(card, classes=None, pooling="first") if card.generates else None
    if model is None:  # an encoder as pretrained: BERT with its pooler, MiniLM as RoBERTa without
        from transformers import AutoModel

        options = {"add_pooling_layer": False} if name == "minilm_roberta" else {}
        with torch.device("meta"):
            model = AutoModel.from_config(module.true_config(card), **options)
    assert sum(value.numel() for value in model.parameters()) == card.parameters


def test_adapters_of_llama_2():
    found = size("llama2_7b", 2, ADAPTERS)
    # rank 8 on query and value of 32 layers: 2 * (4,096 * 8 + 8 * 4,096), and a head of 2 * 4,096
    assert found.trainable == 32 * 2 * 2 * 4096 * 8 + 2 * 4096
    assert found.problem is None
    assert size("llama2_7b", None, ADAPTERS).trainable == 32 * 2 * 2 * 4096 * 8


def test_depth():
    assert size("smollm2", 2, ADAPTERS, layers=5).parameters < size("smollm2", 2, ADAPTERS).parameters


def test_a_layer_without_a_rule_is_a_problem(monkeypatch):
    class Scale(nn.Linear):
        """A layer of somebody's own."""

    def with_scale(*args, **kwargs):
        model = build_at_true_size(*args, **kwargs)
        model.model.classifier.dense = Scale(16, 16, device="meta")
        return model

    monkeypatch.setattr(module, "build_at_true_size", with_scale)
    assert "no clipping rule is registered" in size("tiny_roberta", 2).problem


def test_work_by_hand():
    model = build_at_true_size(MODELS["tiny_roberta"], classes=2, pooling="first")
    # two layers of 4 * 16 * 16 + 2 * 16 * 32 weights, a head of 16 * 16 + 2 * 16; ten tokens
    weights = 2 * (4 * 256 + 1024) + 256 + 32
    assert training_flops(model, length=10) == 10 * (6 * weights + 12 * 10 * 16 * 2)
    model.requires_grad_(False)
    assert training_flops(model, length=10) == 10 * (4 * weights + 12 * 10 * 16 * 2)


@pytest.mark.parametrize("name", MODELS)
def test_the_shape_without_torch_is_the_model_s(name):
    card, path = MODELS[name], {"roberta": "encoder.layer", "bert": "encoder.layer", "gpt2": "h", "llama": "layers"}
    with torch.device("meta"):
        model = AutoModel.from_config(module.true_config(card))
    blocks, shape = model.get_submodule(path[card.architecture]), shape_of(card)
    weights = sum(value.numel() for value in blocks[0].parameters() if value.dim() == 2)
    assert (shape.layers, shape.block) == (len(blocks), weights)
    assert shape.heads == model.config.num_attention_heads
    assert model.get_input_embeddings().weight.shape == (shape.vocabulary, shape.width)
