"""Models at their true size, without weights: counts with a source, clipping rules and work."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from transformers import AutoModel

from lmodp.estimate import true_size as module
from lmodp.estimate.plan_grid import plan_grid
from lmodp.estimate.shapes import shape_of
from lmodp.estimate.true_size import build_at_true_size, training_flops, true_size
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.models.cards import MODELS, ModelCard
from lmodp.models.own import is_causal

ROOT = Path(__file__).resolve().parents[3]
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


# As the models' own config.json say; parameters of the language model, of an encoder with a head for two classes.
OWN = {
    "distilbert": ({"dim": 768, "hidden_dim": 3072, "n_layers": 6, "n_heads": 12, "vocab_size": 30522}, 66955010),
    "xlm-roberta": ({"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1}, 278045186),
    "modernbert": ({"vocab_size": 50368, "hidden_size": 768, "intermediate_size": 1152}, 149606402),
    "gpt_neox": (
        {"vocab_size": 50304, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
        | {"intermediate_size": 3072},
        162322944,
    ),
    "qwen2": (
        {"vocab_size": 151936, "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14}
        | {"num_key_value_heads": 2, "intermediate_size": 4864, "tie_word_embeddings": True},
        494032768,
    ),
    "gemma": (
        {"vocab_size": 256000, "hidden_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 8}
        | {"num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 16384},
        2506172416,
    ),
    "phi": (
        {"vocab_size": 51200, "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32}
        | {"intermediate_size": 10240},
        2779683840,
    ),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_users_own_model_is_known_from_its_configuration_alone(kind):
    """The counts are the published ones: DistilBERT-base, XLM-R-base, ModernBERT-base, Pythia-160M, Qwen2-0.5B, ..."""
    values, parameters = OWN[kind]
    card = ModelCard(name="own", title="own", architecture=kind, causal=is_causal(kind), config=values)
    classes = None if card.generates else 2
    found = true_size(card, classes=classes, trainable="full", pooling=card.native_pooling, max_length=100)
    assert found.parameters == parameters and found.problem is None
    assert shape_of(card).parameters == pytest.approx(parameters, rel=0.25)  # one embedding of two, where untied


def test_a_grid_of_a_users_own_model_is_planned_from_its_configuration_alone(tmp_path):
    values, _ = OWN["qwen2"]
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen/config.json").write_text(json.dumps({"model_type": "qwen2", **values}))
    grid = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    head = {**grid["experiments"]["head"], "model": "own", "pooling": None, "methods": ["gaussian"]}
    places = {"results_root": str(tmp_path / "r"), "cache_root": str(tmp_path / "c")}
    models = {"own": {"from": str(tmp_path / "qwen")}}
    plan = plan_grid(Grid(check_config({**grid, **places, "models": models, "experiments": {"head": head}})))
    assert plan["models"][0]["parameters"] == 494032768 + 2 * 896  # a head in place of the tied output matrix
    assert all(cell["seconds"] > 0 and cell["memory_bytes"] > 4 * 494032768 for cell in plan["cells"])


def test_more_tokens_than_positions_are_a_problem():
    options = {"classes": 2, "trainable": "full", "pooling": "first"}
    assert true_size(MODELS["roberta_base"], **options, max_length=512).problem is None
    assert (
        "is more than the model's 512 positions" in true_size(MODELS["roberta_base"], **options, max_length=513).problem
    )
