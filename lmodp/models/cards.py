"""The models the suite knows: architecture, size, and where their weights come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmodp.data.cards import cards_of


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The facts about a model that are known before it is loaded.

    Args:
        name: key in the configuration.
        title: for tables and captions.
        architecture: "roberta", "bert", "gpt2", "llama", or another name that transformers has for a user's own.
        causal: whether it is a causal language model, which can generate text.
        recipe: how the source "embedded" makes the model, a key of
            `lmodp.models.embedded.RECIPES`; None if it does not offer it.
        package: entry of ``data.lock`` with the weights, or with the text for pretraining (source "embedded").
        config: the true configuration where it differs from the defaults of the architecture in transformers; None if
            it is known only from the weights. A model with a configuration is offered from local folders and a hub, and
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
    notes: tuple[str, ...] = ()

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


MODELS = cards_of(ModelCard, __file__)


def card_of(
    model: str, own_model: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None
) -> ModelCard:
    """Return the card of a model that the suite knows, or that of a user's own (`lmodp.models.own.identity_of`)."""
    if own_model is None:
        return MODELS[model]
    facts = {name: own_model[name] for name in ("architecture", "causal")}
    return ModelCard(name=model, title=model, config=config, notes=("A model of the user's own.",), **facts)


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """Size of the model and length of its training.

    ``block`` is the tokens of one training sequence, ``batch_size`` sequences a step; ``steps`` of AdamW have a linear
    ``warmup`` and a cosine decay from ``learning_rate`` to zero. Perplexity is measured on the share ``held_out`` of
    blocks.
    """

    vocabulary: int = 2048
    width: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 256
    block: int = 128
    batch_size: int = 8
    steps: int = 400
    learning_rate: float = 6e-3
    warmup: int = 50
    weight_decay: float = 0.1
    held_out: float = 0.02
    seed: int = 20240529
