"""Families of transformers without a line of their own: sums and norms against explicit gradients, parts found.

Several of them compute in float32 whatever they are given, so errors below 1e-6 do not show.
"""

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from lmodp.errors import InvalidValue, Unsupported
from lmodp.models.architectures import architecture_of
from lmodp.models.classifier import SequenceClassifier
from lmodp.models.prefix import find_prefix
from lmodp.models.trainable import set_trainable
from lmodp.training import ClippingEngine, causal_lm_loss, classification_loss
from lmodp.training.clipping.rules import recognised_norm
from tests.oracles.clipping_models import VOCABULARY, explicit_gradients, joint_norm, make_batch

SPECIAL = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
PLAIN = {"vocab_size": VOCABULARY, "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, **SPECIAL}
PLAIN |= {"num_attention_heads": 2, "max_position_embeddings": 24}
GROUPED = {**PLAIN, "num_key_value_heads": 1}
DECODERS = {
    "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 6},
    "mistral": GROUPED,
    "gemma": {**GROUPED, "head_dim": 6},
    "olmo2": GROUPED,
    "phi": {**GROUPED, "hidden_size": 16},
    "gpt_neox": PLAIN,
    "gpt_neo": {"vocab_size": VOCABULARY, "hidden_size": 12, "num_layers": 2, "num_heads": 2, **SPECIAL}
    | {"attention_types": [[["global"], 2]], "max_position_embeddings": 24},
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 12, "n_layer": 2, "n_head": 2, **SPECIAL},
    "opt": {**PLAIN, "ffn_dim": 20, "word_embed_proj_dim": 12},
}
ENCODERS = {
    "xlm-roberta": PLAIN,
    "electra": {**PLAIN, "embedding_size": 8},
    "distilbert": {"vocab_size": VOCABULARY, "dim": 12, "hidden_dim": 20, "n_layers": 2, "n_heads": 2, **SPECIAL},
    "modernbert": {**PLAIN, "num_hidden_layers": 3},
}
FIELDS = DECODERS | ENCODERS


def build(kind, *, classes=None):
    """Return (model, loss, batch) in float64 and training mode, dropout off, random weights everywhere."""
    torch.manual_seed(5)
    config = AutoConfig.for_model(kind, **FIELDS[kind], **({"num_labels": classes} if classes else {}))
    for name in vars(config):
        if "drop" in name and isinstance(getattr(config, name), float):
            setattr(config, name, 0.0)
    model = (AutoModelForSequenceClassification if classes else AutoModelForCausalLM).from_config(config)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3).add_(0.6 if parameter.dim() == 1 else 0.0)
    loss = classification_loss if classes else causal_lm_loss
    return model.double().train(), loss, make_batch("label" if classes else "tokens", [7, 3, 7, 1, 2])


def compare(model, loss, batch):
    """Hold norms and sums to one plain backward pass an example, about half of the examples clipped."""
    gradients = explicit_gradients(model, loss, batch)
    norms = torch.stack([joint_norm(gradient) for gradient in gradients])
    clip_norm = 0.8 * float(norms.median())
    engine = ClippingEngine(model, clip_norm=clip_norm, clipping="flat")
    found = engine.accumulate(loss, batch, len(norms))
    engine.fill_missing()
    torch.testing.assert_close(found.norms, norms, rtol=3e-6, atol=1e-12)
    factors = (clip_norm / norms).clamp_max(1)
    missed = []
    for parameter in engine.parameters:
        shares = [f * g[parameter] for f, g in zip(factors, gradients, strict=True) if parameter in g]
        missed.append((parameter.grad - sum(shares, torch.zeros_like(parameter))).norm())
    assert torch.stack(missed).norm() <= 3e-6 * clip_norm


LORA, LAST = {"lora": {"rank": 2}}, {"last_layers": 1}
OTHER_PARTS = [(name, LORA) for name in ("qwen3", "gpt_neox", "opt", "distilbert", "modernbert")]
OTHER_PARTS += [(name, LAST) for name in ("gemma", "phi", "opt", "electra")]


@pytest.mark.parametrize(("kind", "part"), [*((kind, "full") for kind in FIELDS), *OTHER_PARTS], ids=str)
def test_it_equals_explicit_gradients(kind, part):
    model, loss, batch = build(kind, classes=3 if kind in ENCODERS else None)
    running = SequenceClassifier(model, "mean") if kind in ENCODERS else model
    trained = set_trainable(running, part, seed=1)
    for parameter in running.parameters():
        if parameter.requires_grad and part == LORA:  # adapters start at zero, where half of the gradient vanishes
            parameter.data.add_(0.11)
    compare(running.double(), loss, batch)
    assert part == "full" or 0 < trained["trainable"] < 0.75 * trained["total"]


@pytest.mark.parametrize("kind", [*ENCODERS, "mistral"])
def test_native_pooling_equals_transformers(kind):
    model, _, batch = build(kind, classes=3)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    found = SequenceClassifier(model.eval())(**inputs)
    torch.testing.assert_close(found, model(**inputs).logits, rtol=1e-6, atol=1e-6)


def test_parts_are_read_from_the_model_itself():
    found = architecture_of(build("qwen2")[0])
    assert (found.blocks, found.final_norm, found.head) == ("model.layers", "model.norm", ("lm_head",))
    assert found.lora_targets == ("q_proj", "v_proj")
    found = architecture_of(build("distilbert", classes=3)[0])
    assert found.blocks == "distilbert.transformer.layer" and found.final_norm is None
    assert found.head == ("pre_classifier", "classifier") and found.native_pooling == "first"


def test_a_frozen_prefix_of_a_model_without_an_entry_ends_below_the_head_or_nowhere():
    """Gemma scales its embeddings after the look-up: blocks fed with cached states would scale them twice."""
    for classes, part, expected in (
        (3, "head", (2, True)),
        (3, {"last_layers": 1}, (0, False)),
        (None, "lora", (0, False)),
    ):
        model = build("gemma", classes=classes)[0]
        running = SequenceClassifier(model, "mean") if classes else model
        set_trainable(running, part, seed=1)
        found = find_prefix(running)
        assert (found.blocks, found.pooled) == expected


def test_lora_without_known_targets_names_what_there_is():
    model = build("qwen2")[0]
    for layer in model.model.layers:
        layer.self_attn.query, layer.self_attn.other = layer.self_attn.q_proj, layer.self_attn.v_proj
        del layer.self_attn.q_proj, layer.self_attn.v_proj
    with pytest.raises(InvalidValue, match=r"lora.targets = None: .*Name some of its matrices: .*gate_proj, k_proj"):
        set_trainable(model, "lora", seed=1)


class Norm(nn.Module):
    """What looks like a norm: a weight, an epsilon, no children."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.eps, self.weight = kind, 1e-6, nn.Parameter(torch.ones(6))

    def forward(self, x):
        if self.kind == "mixes":
            x = x - x.mean(0)
        if self.kind == "mean of sizes":
            return self.weight * x / (x.abs().mean(-1, keepdim=True) + self.eps)
        if self.kind == "largest epsilon":
            return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-3)
        if self.kind == "squares the weight":
            return self.weight**2 * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        if self.kind == "over positions":
            return self.weight * x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + self.eps)
        return (2 + self.weight) * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


OTHERS = ["mixes", "mean of sizes", "largest epsilon", "squares the weight", "over positions"]


@pytest.mark.parametrize("kind", OTHERS)
def test_what_only_looks_like_a_norm_is_no_norm(kind):
    assert recognised_norm(Norm(kind)) is None
    with pytest.raises(Unsupported, match=r"0 \(Norm\) trains weight, and no clipping rule"):
        ClippingEngine(nn.Sequential(Norm(kind)), clip_norm=1.0, clipping="flat")


def test_a_norm_is_known_by_its_formula():
    assert recognised_norm(Norm("rms")) is not None and recognised_norm(LlamaRMSNorm(6, eps=1e-5)) is not None
    assert recognised_norm(nn.Linear(6, 6)) is None and recognised_norm(nn.GroupNorm(2, 6)) is None
