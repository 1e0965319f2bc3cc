"""Sentence classification as a task: the interface is the same for every task.

From the prepared files of a cell (model, tokens, cached activations), a task makes the three things that the engine
needs: a model, training examples and a loss. It also scores a trained model on the evaluation split.
"""

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging

from lmodp.data.tokens import load_tokens
from lmodp.errors import given
from lmodp.models.architectures import dropouts_of, head_modules
from lmodp.models.classifier import SequenceClassifier, transformers_model
from lmodp.models.label_words import load_prompted
from lmodp.models.prefix import CachedActivations, find_prefix, suffix_of
from lmodp.models.trainable import set_trainable
from lmodp.specs import TaskSpec
from lmodp.tasks.accuracy import score_classification
from lmodp.training import TensorExamples, TokenColumns, classification_loss
from lmodp.training.device import device_of_runs
from lmodp.training.examples import Examples, all_batches


class PreparedTask:
    """What tasks have in common: a cell's prepared files, and the device; ``activations_folder`` may be None."""

    loss: Callable[[nn.Module, Mapping[str, Tensor]], Tensor]

    def __init__(
        self,
        spec: TaskSpec,
        *,
        model_folder: Path,
        tokens_folder: Path,
        activations_folder: Path | None = None,
        device: str = "auto",
    ):
        self.spec, self.card, self.half = spec, spec.card, spec.precision == "bfloat16"
        self.model_folder, self.tokens_folder, self.activations_folder = model_folder, tokens_folder, activations_folder
        self.device = device_of_runs(device)

    def faults(self, model: nn.Module, examples: Examples, batch_size: int) -> dict[str, float]:
        """Return what is wrong with a model on examples, the leading fault first: here its mean loss in nats."""
        model.eval()
        with torch.no_grad():
            losses = [self.loss(model, batch).double().sum() for _, batch in all_batches(examples, batch_size)]
        return {"loss": float(sum(losses)) / len(examples)}


class ClassificationTask(PreparedTask):
    """Sentence classification with the model's own head.

    With precision "bfloat16", forward and backward passes run under autocast, and frozen weights below adapters take
    two bytes each. Trained weights, per-example norms, sums and noise stay in float32.
    """

    loss: Callable[[nn.Module, Mapping[str, Tensor]], Tensor] = staticmethod(classification_loss)

    @cached_property
    def pretrained(self) -> SequenceClassifier:
        """The pretrained model with a head; `model` initialises the head, whatever head the files have.

        What else the files lack (a BERT's pooler) is drawn alike in every process.
        """
        logging.set_verbosity_error()  # it warns that the head is new, which is intended
        logging.disable_progress_bar()
        options = {"dtype": frozen_dtype(self.spec), **dropout_options(self.model_folder, self.spec.dropout)}
        if self.spec.head is not None:
            inner = load_prompted(self.model_folder, self.spec.head["words"], **options)
            return SequenceClassifier(inner, self.spec.pooling).to(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            inner = AutoModelForSequenceClassification.from_pretrained(
                self.model_folder,
                local_files_only=True,
                num_labels=len(self.card.labels),
                ignore_mismatched_sizes=True,
                **options,
            )
        return SequenceClassifier(inner, self.spec.pooling).to(self.device)

    def model(self, seed: int) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
        """Return a freshly initialised model, the part of it that runs, and what is trained.

        The second differs from the first if cached activations replace the frozen prefix; both share their parameters.
        """
        model = fresh(self.pretrained, self.spec)
        if self.spec.head is None:
            initialise_head(model, seed)
        summary = set_trainable(model, self.spec.trainable, seed=seed)
        if self.activations_folder is None:
            save_activations(model.model, self.spec)
            return model, model, summary
        prefix = find_prefix(model)
        return model, model if prefix.pooled else suffix_of(model, prefix.blocks), summary

    def examples(self, split: str) -> Examples:
        """Return a split's examples: cached activations if there are any, otherwise tokens."""
        tokens = self.tokens(split)
        if self.activations_folder is None:
            return tokens
        cached = load_file(self.activations_folder / f"{split}.safetensors")
        if "pooled" in cached:
            return TensorExamples(
                {"pooled": cached["pooled"], "labels": torch.from_numpy(tokens.values["labels"])}, device=self.device
            )
        return CachedActivations(cached["hidden"], tokens)

    def tokens(self, split: str) -> TokenColumns:
        """Return a split's tokens and labels, activations or not."""
        found = load_tokens(self.tokens_folder, split)
        labels = given(found.labels, "labels", "is in tokens of a classification data set only")
        return TokenColumns(
            found.columns(),
            padding={"input_ids": self.pretrained.config.pad_token_id},
            values={"labels": labels} if found.masks is None else {"labels": labels, "masks": found.masks},
            device=self.device,
        )

    def faults(self, model: nn.Module, examples: Examples, batch_size: int) -> dict[str, float]:
        """Return the error rate and the mean loss of a model on examples."""
        found = score_classification(*predict(model, examples, batch_size))
        return {"error": 1 - found["accuracy"], "loss": found["loss"]}

    def score(self, model: nn.Module) -> dict[str, Any]:
        """Return the scores of a trained model on the evaluation split."""
        split = self.card.evaluation_split
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            logits, labels = predict(model, self.examples(split), self.spec.batch_size)
        return score_classification(logits, labels, f1=self.card.f1)


def fresh(pretrained: Any, spec: TaskSpec) -> Any:
    """Return a copy of a pretrained model that may be trained; what a head or adapters leave frozen is not copied."""
    kind = spec.trainable if isinstance(spec.trainable, str) else next(iter(spec.trainable))
    if spec.head is not None or kind not in ("head", "lora"):
        return copy.deepcopy(pretrained)
    heads = head_modules(transformers_model(pretrained))
    trained = {id(value) for head in heads for value in head.parameters()}
    return copy.deepcopy(
        pretrained, {id(value): value for value in pretrained.parameters() if id(value) not in trained}
    )


def save_activations(model: Any, spec: TaskSpec) -> None:
    """Let a transformers model keep the inputs of its blocks alone, if the cell asks for it; needs training mode."""
    if spec.activation_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})


def predict(model: nn.Module, examples: Examples, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (N, classes) and labels (N,) in evaluation mode, float32, in the order of the examples."""
    model.eval()
    order, logits, labels = [], [], []
    with torch.no_grad():
        for rows, batch in all_batches(examples, batch_size):
            order.append(rows)
            labels.append(batch.pop("labels").cpu().numpy())
            logits.append(model(**batch).float().cpu().numpy())
    back = np.argsort(np.concatenate(order))
    return np.concatenate(logits)[back], np.concatenate(labels)[back]


def initialise_head(model: SequenceClassifier, seed: int) -> None:
    """Draw the new head's weights: normal of the model's initialisation scale, biases 0.

    Only layers that the pretrained encoder lacks are drawn; BERT's pooler is pretrained
    and stays. They are in float32, whatever the data type of the encoder.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = getattr(model.config, "initializer_range", 0.02)
    heads = [getattr(model.model, name).float() for name in ("classifier", "score") if hasattr(model.model, name)]
    with torch.no_grad():
        for layer in (module for head in heads for module in head.modules() if isinstance(module, nn.Linear)):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * spread)
            if layer.bias is not None:
                layer.bias.zero_()


def frozen_dtype(spec: TaskSpec) -> torch.dtype:
    """Return the data type of a cell's pretrained weights: two bytes each if only adapters are trained, under bfloat16.

    Args:
        spec: the cell's resolved spec.
    """
    adapters = isinstance(spec.trainable, Mapping) and "lora" in spec.trainable
    return torch.bfloat16 if adapters and spec.precision == "bfloat16" else torch.float32


def dropout_options(model_folder: Path, dropout: float) -> dict[str, float]:
    """Return the config values that set a model's dropout, by its architecture."""
    config = AutoConfig.from_pretrained(model_folder, local_files_only=True)
    options = dict.fromkeys(dropouts_of(config), dropout)
    return {**options, "classifier_dropout": dropout} if config.model_type in {"roberta", "bert"} else options
