"""Classifiers whose head is the language model's own, cut down to the rows of the label words.

A causal model becomes the classifier of transformers with these rows as its ``score``. A masked model keeps its class
and the layers before its output matrix; of the matrix the label words' rows are left. Without any training, the
classes' scores are the words' scores.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification

from lmodp.data.prompts import word_tokens
from lmodp.data.tokens import load_tokenizer
from lmodp.errors import Unsupported
from lmodp.models.own import is_causal


def load_prompted(folder: Path, words: Sequence[str], **options: Any) -> Any:
    """Return a prepared model with a head of label words, one per class, in evaluation mode.

    Raises:
        InvalidValue: a word is no single token.
        Unsupported: the folder holds no language model's head, or one that no classifier has.
    """
    numbers = word_tokens(load_tokenizer(folder), words)
    if not is_causal(AutoConfig.from_pretrained(folder, local_files_only=True).model_type):
        model = load_whole(AutoModelForMaskedLM, folder, **options)
        keep_words(model, numbers)
        return model
    output = load_whole(AutoModelForCausalLM, folder, **options).get_output_embeddings()
    if output.bias is not None:
        raise Unsupported("head.words: the model's output matrix has a bias, which its classifier lacks.")
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, num_labels=len(numbers), **options
    )
    with torch.no_grad():
        model.score.weight.copy_(output.weight[numbers])
    return model.eval()


def load_whole(kind: Any, folder: Path, **options: Any) -> Any:
    """Return a model of a class; raise `Unsupported` if some of its weights are not in the folder."""
    model, told = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True, **options)
    if missing := sorted(told["missing_keys"]):
        raise Unsupported(f"head.words: the model's folder lacks {missing[0]}, without which it cannot predict words.")
    return model.eval()


def unloaded_prompted(config: Any, classes: int) -> Any:
    """Return such a model on the current device without weights, for counting."""
    if is_causal(config.model_type):
        config.num_labels = classes
        return AutoModelForSequenceClassification.from_config(config)
    model = AutoModelForMaskedLM.from_config(config)
    keep_words(model, list(range(classes)))
    return model


def keep_words(model: Any, numbers: Sequence[int]) -> None:
    """Cut a masked model's output matrix to the rows of some tokens, in place."""
    old = model.get_output_embeddings()
    new = nn.Linear(old.in_features, len(numbers), bias=old.bias is not None).to(old.weight)
    with torch.no_grad():
        new.weight.copy_(old.weight[list(numbers)])
        if old.bias is not None:
            new.bias.copy_(old.bias[list(numbers)])
    model.set_output_embeddings(new)
    for module, name in _holders(model, old.bias, new.bias):
        module._parameters[name] = None
    model.label_words = True


def _holders(model: nn.Module, *biases: nn.Parameter | None) -> list[tuple[nn.Module, str]]:
    """The modules, output matrices left out, that hold one of these biases once more."""
    return [
        (module, name)
        for module in model.modules()
        for name, value in module._parameters.items()
        if value is not None and not isinstance(module, nn.Linear) and any(value is bias for bias in biases)
    ]


def with_words(folder: Path, words: Sequence[str], weights: dict[str, torch.Tensor]) -> tuple[Any, dict[str, Any]]:
    """Return a whole masked model in which trained rows stand at the label words, and the other trained weights.

    ``weights`` are of a model that `load_prompted` made. The output matrix is then one of its own, no longer the token
    embeddings.
    """
    model, numbers = load_whole(AutoModelForMaskedLM, folder), word_tokens(load_tokenizer(folder), words)
    output = model.get_output_embeddings()
    (name,) = [name for name, module in model.named_modules() if module is output]
    holders = _holders(model, output.bias)
    for part in ("weight", "bias"):
        if getattr(output, part) is None:
            continue
        value = getattr(output, part).detach().clone()
        if (rows := weights.get(f"{name}.{part}")) is not None:
            value[numbers] = rows.to(value)
        setattr(output, part, nn.Parameter(value))
    for module, key in holders:
        module._parameters[key] = nn.Parameter(output.bias.detach().clone())
    model.config.tie_word_embeddings = False
    return model, {key: value for key, value in weights.items() if not key.startswith(f"{name}.")}
