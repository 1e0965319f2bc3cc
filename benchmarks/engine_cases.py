"""What is measured: architectures at two sizes, with random weights and random batches.

Small sizes run on a CPU in seconds; true sizes are those of RoBERTa-large, BERT-large, GPT-2 and
Llama-2-7B and need a GPU. Speed and memory do not depend on the values of the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from lmodp.models.trainable import set_trainable
from lmodp.training import causal_lm_loss, classification_loss

LORA = {"lora": {"rank": 8}}
_NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
_GPT2 = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
_SMALL_ENCODER = {
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 514,
}
_LARGE_ENCODER = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}


@dataclass(frozen=True)
class Case:
    """One model shape and trainable part, at one batch size and sequence length."""

    name: str
    build: Callable[[], nn.Module]
    loss: Callable[[nn.Module, dict], torch.Tensor]
    part: Any = "full"
    batch_size: int = 32
    length: int = 64

    def model(self, device: str) -> nn.Module:
        """Return the model in training mode with its trainable part set."""
        torch.manual_seed(0)
        with torch.device(device):
            model = self.build()
        set_trainable(model, self.part, seed=0)
        return model.to(device).train()

    def batch(self, device: str) -> dict[str, torch.Tensor]:
        """Return a batch of full length: ``input_ids``, ``attention_mask``, ``labels``."""
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(5, 30000, (self.batch_size, self.length), generator=generator)
        labels = torch.randint(0, 2, (self.batch_size,), generator=generator)
        batch = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "labels": labels if self.loss is classification_loss else ids,
        }
        return {name: value.to(device) for name, value in batch.items()}


def _roberta(**fields: Any) -> Callable[[], nn.Module]:
    return lambda: RobertaForSequenceClassification(RobertaConfig(**fields, **_NO_DROPOUT))


def _bert(**fields: Any) -> Callable[[], nn.Module]:
    return lambda: BertForSequenceClassification(BertConfig(**fields, **_NO_DROPOUT))


def _gpt2(**fields: Any) -> Callable[[], nn.Module]:
    return lambda: GPT2LMHeadModel(GPT2Config(**fields, **_GPT2))


def _llama(**fields: Any) -> Callable[[], nn.Module]:
    return lambda: LlamaForCausalLM(LlamaConfig(**fields))


_SMALL = {
    "RoBERTa": (_roberta(**_SMALL_ENCODER, type_vocab_size=1), classification_loss),
    "BERT": (_bert(**_SMALL_ENCODER), classification_loss),
    "GPT-2 (tied)": (_gpt2(vocab_size=30522, n_embd=384, n_layer=6, n_head=12, n_positions=514), causal_lm_loss),
    "Llama": (
        _llama(
            vocab_size=30522,
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=6,
            num_key_value_heads=6,
            intermediate_size=1024,
            max_position_embeddings=514,
        ),
        causal_lm_loss,
    ),
}
_TRUE = {
    "RoBERTa-large": (
        _roberta(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, **_LARGE_ENCODER),
        classification_loss,
        "full",
        128,
    ),
    "BERT-large": (_bert(vocab_size=28996, **_LARGE_ENCODER), classification_loss, "full", 128),
    "GPT-2 (tied)": (_gpt2(), causal_lm_loss, "full", 100),
    "Llama-2-7B": (_llama(), causal_lm_loss, LORA, 100),
}


def cases(size: str) -> dict[str, Case]:
    """Return the cases of a size, "small" or "true", by name."""
    if size == "true":
        found = [
            Case(f"{name}, {'LoRA' if part is LORA else part}", build, loss, part, length=length)
            for name, (build, loss, part, length) in _TRUE.items()
        ]
    else:
        found = [
            Case(f"{name}, {label}", build, loss, part)
            for label, part in (("full", "full"), ("LoRA", LORA))
            for name, (build, loss) in _SMALL.items()
        ]
    return {case.name: case for case in found}
