"""Models at their true size without weights: parameter counts, clipping rules and work.

`lmodp plan` uses this to check a grid before anything is downloaded. The model is
built on torch's meta device, where tensors have a shape but no memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
)
from transformers.utils import logging

from lmodp.data.tokenize_dataset import require_positions
from lmodp.errors import InvalidValue, Unsupported
from lmodp.estimate.shapes import known_config
from lmodp.models.cards import ModelCard
from lmodp.models.classifier import SequenceClassifier, transformers_model
from lmodp.models.label_words import unloaded_prompted
from lmodp.models.trainable import set_trainable
from lmodp.training.clipping.recording import tapped_layers


@dataclass(frozen=True)
class TrueSize:
    """The facts about a model that need no weights.

    Args:
        parameters, trainable: counts for the model with its task's head.
        tapped: number of layers that are clipped per example.
        flops_per_example: see `training_flops`.
        problem: why it cannot be trained per example, or None.
    """

    parameters: int
    trainable: int
    tapped: int
    flops_per_example: int
    problem: str | None = None


def true_config(card: ModelCard, *, layers: int | None = None) -> PretrainedConfig:
    """Return a model's configuration at its true size.

    Raises:
        Unsupported: only its weights' own configuration is known.
    """
    logging.set_verbosity_error()  # it warns of special tokens beyond a small vocabulary, which play no part here
    values = known_config(card)
    depth = {} if layers is None else {"num_hidden_layers": layers}
    return AutoConfig.for_model(card.architecture, **{**values, **depth})


def build_at_true_size(card: ModelCard, *, classes: int | None, pooling: str, layers: int | None = None) -> nn.Module:
    """Return a model on the meta device, with the head of its task.

    Args:
        card: of the model.
        classes: of a classifier; None for a language model.
        pooling: of a classifier.
        layers: the first layers only; None for all.
    """
    config = true_config(card, layers=layers)
    if config.pad_token_id is None:  # as prepare_model does; Llama's own configuration names none
        config.pad_token_id = config.eos_token_id
    with torch.device("meta"):
        if classes is None:
            return AutoModelForCausalLM.from_config(config)
        if pooling == "mask":
            return SequenceClassifier(unloaded_prompted(config, classes), pooling)
        config.num_labels = classes
        return SequenceClassifier(AutoModelForSequenceClassification.from_config(config), pooling)


def true_size(
    card: ModelCard,
    *,
    classes: int | None,
    trainable: str | Mapping[str, Any],
    pooling: str,
    max_length: int,
    layers: int | None = None,
) -> TrueSize:
    """Build a model on the meta device; check its positions, and that every trainable layer has a clipping rule.

    Args:
        card, classes, pooling, layers: as in `build_at_true_size`.
        trainable: the trained part.
        max_length: longest sequence.
    """
    model = build_at_true_size(card, classes=classes, pooling=pooling, layers=layers)
    with torch.device("meta"):
        summary = set_trainable(model, trainable, seed=0)
    tapped, problem = 0, None
    try:
        tapped = len(tapped_layers(model))
        require_positions(transformers_model(model).config, max_length)
    except (Unsupported, InvalidValue) as error:
        problem = str(error)
    return TrueSize(
        parameters=summary["total"],
        trainable=summary["trainable"],
        tapped=tapped,
        flops_per_example=training_flops(model, length=max_length),
        problem=problem,
    )


def training_flops(model: nn.Module, *, length: int) -> int:
    """Return the products and sums for one example of the longest length.

    Per weight and token: two in the forward pass, two in the backward pass for the
    gradients of the activations, and two more for the gradients of trained weights.
    Attention adds 12 s h per layer and token. Embedding tables that are only looked
    up do not count.

    References:
        Kaplan et al. (2020), arXiv:2001.08361, section 2.1.
    """
    inner = transformers_model(model)
    looked_up = [module.weight for module in inner.modules() if isinstance(module, nn.Embedding)]
    output = inner.get_output_embeddings() if not isinstance(model, SequenceClassifier) else None
    used = {id(value) for value in looked_up} - ({id(output.weight)} if output is not None else set())
    weights = [value for value in inner.parameters() if value.dim() == 2 and id(value) not in used]
    total, trained = (
        sum(value.numel() for value in weights),
        sum(value.numel() for value in weights if value.requires_grad),
    )
    attention = 12 * length * inner.config.hidden_size * inner.config.num_hidden_layers
    return length * (4 * total + 2 * trained + attention)
