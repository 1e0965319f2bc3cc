"""Where each architecture keeps its blocks, its final norm and its head.

There is one entry per architecture, used for pooling, trainable parts and the frozen
prefix. Paths are relative to the transformers model, for example
``RobertaForSequenceClassification``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import nn

from lmodp.errors import Unsupported

# A model of the transformers library. Its attributes differ by architecture, and torch types all of them as
# "Tensor or Module"; so a checker is told nothing.
TransformersModel = Any


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Names of the parts of a transformers model.

    Args:
        backbone: the encoder or decoder without a head.
        blocks: the list of transformer blocks.
        final_norm: norm after the last block, if there is one.
        head: modules of the task's head; modules that a model lacks are skipped.
        lora_targets: usual modules for low-rank adapters (attention's query and
            value, or the matrix that contains both).
        native_pooling: the pooling of the transformers classifier.
        embeddings: module that turns tokens into the first block's input, if a single
            module does this (it also receives ``inputs_embeds``).
        added_embeddings: module whose output is added to ``inputs_embeds``.
        dropouts: names in the model's config.
    """

    backbone: str
    blocks: str
    final_norm: str | None = None
    head: tuple[str, ...]
    lora_targets: tuple[str, ...]
    native_pooling: str = "first"
    embeddings: str | None = None
    added_embeddings: str | None = None
    dropouts: tuple[str, ...]


_ENCODER_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")

ARCHITECTURES = {
    "roberta": Architecture(
        backbone="roberta",
        blocks="roberta.encoder.layer",
        head=("classifier", "lm_head"),
        lora_targets=("query", "value"),
        embeddings="roberta.embeddings",
        dropouts=_ENCODER_DROPOUTS,
    ),
    "bert": Architecture(
        backbone="bert",
        blocks="bert.encoder.layer",
        head=("bert.pooler", "classifier", "cls"),
        lora_targets=("query", "value"),
        embeddings="bert.embeddings",
        dropouts=_ENCODER_DROPOUTS,
    ),
    "gpt2": Architecture(
        backbone="transformer",
        blocks="transformer.h",
        final_norm="transformer.ln_f",
        head=("score", "lm_head"),
        lora_targets=("c_attn",),
        native_pooling="last",
        added_embeddings="transformer.wpe",
        dropouts=("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    ),
    "llama": Architecture(
        backbone="model",
        blocks="model.layers",
        final_norm="model.norm",
        head=("score", "lm_head"),
        lora_targets=("q_proj", "v_proj"),
        native_pooling="last",
        dropouts=("attention_dropout",),
    ),
}


def architecture_of(model: nn.Module) -> Architecture:
    """Return the entry of a transformers model.

    Raises:
        Unsupported: the model's ``config.model_type`` has no entry.
    """
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in ARCHITECTURES:
        raise Unsupported(
            f"model_type = {kind!r}: must be one of {', '.join(ARCHITECTURES)}. "
            "Add an entry to lmodp/models/architectures.py."
        )
    return ARCHITECTURES[kind]


def at_path(model: TransformersModel, path: str) -> Any:
    """Return the submodule at a dotted path, or None."""
    return reduce(_child, path.split("."), model)


def _child(module: Any, name: str) -> Any:
    return getattr(module, name, None)


def head_modules(model: nn.Module) -> list[nn.Module]:
    """Return the modules of the task's head that a transformers model has."""
    found = (at_path(model, path) for path in architecture_of(model).head)
    return [module for module in found if module is not None]
