"""Trainable parts: exactly the named parameters, and refusals where there is nothing to train."""

import pytest
import torch

from lmodp.errors import InvalidValue, Unsupported
from lmodp.models.classifier import SequenceClassifier
from lmodp.models.trainable import set_trainable
from tests.oracles.clipping_models import BUILDERS, build


def trained(name, part, *, wrap=False):
    model, _, _ = build(name, dtype=torch.float32)
    model = SequenceClassifier(model) if wrap else model
    return set_trainable(model, part, seed=3)


@pytest.mark.parametrize("name", BUILDERS)
def test_full_is_everything(name):
    found = trained(name, "full")
    assert found["trainable"] == found["total"] and found["part"] == "full"


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("roberta", {"classifier"}),
        ("bert", {"bert.pooler", "classifier"}),
        ("llama_classifier", {"score"}),
        ("llama", {"lm_head"}),
    ],
)
def test_head(name, heads):
    names = trained(name, "head")["names"]
    assert {next(head for head in heads if key.startswith(head)) for key in names} == heads


def test_a_wrapped_model_trains_the_same():
    assert [f"model.{key}" for key in trained("bert", "head")["names"]] == trained("bert", "head", wrap=True)["names"]


@pytest.mark.parametrize(
    ("name", "block", "also"),
    [
        ("roberta", "roberta.encoder.layer.1.", {"classifier"}),
        ("gpt2_tied", "transformer.h.1.", {"transformer.ln_f"}),
        ("llama", "model.layers.1.", {"model.norm", "lm_head"}),
    ],
)
def test_last_layers(name, block, also):
    names = trained(name, {"last_layers": 1})["names"]
    others = {key for key in names if not key.startswith(block)}
    assert len(others) < len(names)
    assert {next(start for start in also if key.startswith(start)) for key in others} == also


@pytest.mark.parametrize("count", [0, 3, "1", None])
def test_a_wrong_number_of_layers_is_refused(count):
    with pytest.raises(InvalidValue, match="last_layers"):
        trained("bert", {"last_layers": count})


@pytest.mark.parametrize(
    ("name", "targets", "count"),
    [("roberta", "query|value", 4), ("gpt2_tied", "c_attn", 2), ("llama", "q_proj|v_proj", 4)],
)
def test_lora(name, targets, count):
    found = trained(name, {"lora": {"rank": 2, "alpha": 6}})
    adapters = [key for key in found["names"] if "lora_" in key]
    assert len(adapters) == 2 * count
    assert all(any(target in key for target in targets.split("|")) for key in adapters)


@pytest.mark.parametrize("name", ["llama", "gpt2_tied"])
def test_a_language_model_trains_its_adapters_only(name):
    assert all("lora_" in key for key in trained(name, "lora")["names"])


def test_the_biases_of_a_language_model_are_all_it_trains():
    assert all(key.endswith("bias") for key in trained("gpt2_tied", "bitfit")["names"])


def test_lora_starts_at_the_model_and_from_its_seed():
    outputs, starts = [], []
    for seed in (3, 3, 4):
        model, _, _ = build("roberta", dtype=torch.float32)
        ids = torch.tensor([[2, 3, 4]])
        before = model.eval()(ids).logits
        set_trainable(model, {"lora": {"rank": 2}}, seed=seed)
        outputs.append(torch.equal(model(ids).logits, before))
        starts.append(torch.cat([value.flatten() for key, value in model.named_parameters() if "lora_A" in key]))
    assert all(outputs) and torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


def test_lora_leaves_the_global_generator_alone():
    model, _, _ = build("roberta", dtype=torch.float32)
    before = torch.get_rng_state()
    set_trainable(model, "lora", seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_bitfit_is_biases_and_head():
    names = trained("bert", "bitfit")["names"]
    assert all(key.endswith("bias") or key.startswith(("bert.pooler", "classifier")) for key in names)
    assert sum("LayerNorm.bias" in key for key in names) == 5


@pytest.mark.parametrize(("name", "part"), [("llama", "bitfit"), ("gpt2_tied", "head")])
def test_nothing_to_train_is_refused(name, part):
    with pytest.raises(Unsupported, match=f"trainable_part = '{part}'.*Choose another part"):
        trained(name, part)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("ful", "Did you mean 'full'"),
        ("last_layers", "needs a number"),
        ({"lora": {"rnk": 2}}, "Did you mean 'rank'"),
        ({"lora": {"targets": ["nope"]}}, "lora.targets"),
        ({"head": None, "full": None}, "must name one part"),
    ],
)
def test_misspelt_parts_are_refused(part, text):
    with pytest.raises(InvalidValue, match=text):
        trained("bert", part)


@pytest.mark.parametrize("part", ["full", "head", {"last_layers": 1}, "bitfit", {"lora": {}}], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_is_trained_is_float32_on_a_model_of_16_bits(part, dtype):
    model = build("roberta", dtype=dtype)[0]
    set_trainable(model, part, seed=1)
    kinds = {value.requires_grad: set() for value in model.parameters()}
    for value in model.parameters():
        kinds[value.requires_grad].add(value.dtype)
    assert kinds.pop(True) == {torch.float32} and kinds in ({}, {False: {dtype}})
