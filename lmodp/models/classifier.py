"""Sequence classification with a choice of pooling, through the model's own head."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from lmodp.errors import given, require_known
from lmodp.models.architectures import TransformersModel, architecture_of, at_path, head_modules

POOLINGS = ("first", "mean", "last", "mask")


def pool(hidden: Tensor, mask: Tensor | None, pooling: str, places: Tensor | None = None) -> Tensor:
    """Return one vector per example: (B, T, H), (B, T) -> (B, H).

    "first" takes the first position, "mean" the mean over positions with mask 1, and
    "last" the last position with mask 1. "mask" takes ``places`` (B,), those of the masked words.

    Edge cases: for an example without any token, "mean" gives zero and "last" gives its first position.
    """
    if pooling == "first":
        return hidden[:, 0]
    rows = torch.arange(len(hidden), device=hidden.device)
    if pooling == "mask":
        return hidden[rows, given(places, "masks", "are needed to pool by 'mask'")]
    mask = given(mask, "attention_mask", f"is needed to pool by {pooling!r}")
    if pooling == "mean":
        weight = mask.to(hidden.dtype)
        return torch.bmm(weight[:, None], hidden)[:, 0] / weight.sum(1, keepdim=True).clamp_min(1)
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (positions * (mask > 0)).argmax(1)
    return hidden[rows, last]


class SequenceClassifier(nn.Module):
    """A transformers model whose head reads a pooled hidden state: a sequence classifier, or one of label words.

    With the architecture's native pooling (None) the logits equal those of the transformers model, to the bit where the
    operations are the same. BERT's pooler counts as head.
    """

    model: TransformersModel

    def __init__(self, model: nn.Module, pooling: str | None = None):
        super().__init__()
        pooling = architecture_of(model).native_pooling if pooling is None else pooling
        require_known("pooling", pooling, POOLINGS, "unknown pooling")
        self.model, self.pooling = model, pooling

    @property
    def config(self) -> Any:
        """The transformers config."""
        return self.model.config

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pooled: Tensor | None = None,
        **inputs: Any,
    ) -> Tensor:
        """Return logits (B, classes), from tokens (B, T) or from a ``pooled`` hidden state (B, H) of `pooled_state`."""
        if pooled is None:
            pooled = self.pooled_state(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        return self.head(pooled)

    def pooled_state(self, *, attention_mask: Tensor | None, masks: Tensor | None = None, **inputs: Any) -> Tensor:
        """Return the input of the head, (B, H)."""
        backbone = getattr(self.model, architecture_of(self.model).backbone)
        if architecture_of(self.model).native_pooling == "last":  # a decoder
            inputs["use_cache"] = False
        hidden = backbone(attention_mask=attention_mask, **inputs).last_hidden_state
        return pool(hidden, attention_mask, self.pooling, masks)

    def head(self, pooled: Tensor) -> Tensor:
        """Return the logits of the model's own head on a pooled state (B, H).

        The head may have a wider data type than a frozen encoder.
        """
        kind = self.model.config.model_type
        pooled = pooled.to(next(value.dtype for module in head_modules(self.model) for value in module.parameters()))
        if getattr(self.model, "label_words", False):
            return self._own_head(pooled)[:, 0]
        if kind == "roberta":
            return self.model.classifier(pooled[:, None])
        if kind == "bert":
            return self.model.classifier(self.model.dropout(self.model.bert.pooler(pooled[:, None])))
        score = at_path(self.model, "score")
        return self._own_head(pooled) if score is None else score(pooled)

    def _own_head(self, pooled: Tensor) -> Tensor:
        """Return the logits of the model's own forward pass, its encoder replaced by the pooled state."""
        view, parts = copy.copy(self.model), architecture_of(self.model)
        view._modules = {**view._modules, parts.backbone: _Pooled(pooled[:, None])}
        return view(
            inputs_embeds=pooled[:, None], attention_mask=torch.ones(len(pooled), 1, device=pooled.device)
        ).logits


class _Pooled(nn.Module):
    """In the place of an encoder: its hidden states (B, 1, H) are given."""

    def __init__(self, hidden: Tensor):
        super().__init__()
        self.hidden = hidden

    def forward(self, *inputs: Any, **options: Any) -> BaseModelOutput:
        """Return the given hidden states."""
        return BaseModelOutput(last_hidden_state=self.hidden)


def transformers_model(model: nn.Module) -> TransformersModel:
    """Return the transformers model inside a `SequenceClassifier`, or the model itself."""
    return model.model if isinstance(model, SequenceClassifier) else model
