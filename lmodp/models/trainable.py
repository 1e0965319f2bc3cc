"""Which parameters are trained: all, the head, the last blocks, adapters or biases."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.pytorch_utils import Conv1D

from lmodp.data.cards import DatasetCard
from lmodp.errors import InvalidValue, Unsupported, nearest, require, require_known
from lmodp.models.architectures import TransformersModel, architecture_of, at_path, head_modules
from lmodp.models.classifier import transformers_model
from lmodp.models.label_words import unloaded_prompted
from lmodp.vocabulary import UNTRAINED

LORA_DEFAULTS: Mapping[str, Any] = {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": None}


def set_trainable(model: nn.Module, part: str | Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Set ``requires_grad`` on a model's parameters, in place; what is trained is in float32 at least.

    A classifier's head is new, so every part includes it. A language model's output matrix is pretrained: "full" trains
    it, "head" and "last_layers" train it if it is not tied to the token embeddings, and adapters and biases do not
    train it.

    Args:
        part: "full", "head", "none", "bitfit" (all bias terms), ``{"last_layers": k}`` (the last k blocks and the final
            norm), or ``{"lora": {"rank", "alpha", "dropout", "targets"}}``, each key optional.
        seed: for the initial values of the adapters.

    Returns:
        ``part``, the trained names, and how many numbers they and the whole model have.

    Raises:
        InvalidValue: unknown part or option, or k outside 1..number of blocks.
        Unsupported: nothing to train, for example "bitfit" on a model without biases.
    """
    inner = transformers_model(model)
    inner.requires_grad_(False)
    name, options = _read_part(part)
    PARTS[name](inner, options, seed)
    trained = [(key, value) for key, value in model.named_parameters() if value.requires_grad]
    for _, value in trained:
        if value.dtype.itemsize < 4:  # sums, noise and Adam's moments need float32
            value.data = value.data.float()
    if not trained and name != UNTRAINED:
        raise Unsupported(f"trainable_part = {part!r}: the model has nothing to train there. Choose another part.")
    return {
        "part": part
        if isinstance(part, str)
        else {key: dict(value) if isinstance(value, Mapping) else value for key, value in part.items()},
        "names": [key for key, _ in trained],
        "trainable": sum(value.numel() for _, value in trained),
        "total": sum(value.numel() for value in model.parameters()),
    }


def _read_part(part: str | Mapping[str, Any]) -> tuple[str, Any]:
    name: str
    options: Any
    if isinstance(part, str):
        name, options = part, {} if part == "lora" else None
    else:
        require(len(part) == 1, "trainable_part", dict(part), "must name one part")
        name, options = next(iter(part.items()))
    require_known("trainable_part", name, PARTS, "unknown part")
    whole = options is not None or name != "last_layers"
    require(whole, "trainable_part", part, "needs a number of blocks", "Write {last_layers: 2}.")
    return name, options


def _full(model: nn.Module, options: None, seed: int) -> None:
    model.requires_grad_(True)


def _head(model: TransformersModel, options: None, seed: int) -> None:
    for module in head_modules(model):
        if not _tied(model, module):
            module.requires_grad_(True)


def _new_head(model: TransformersModel) -> None:
    """Train the head of the task, if the model has one; one of label words is such a head."""
    for module in head_modules(model):
        if module is not model.get_output_embeddings() or getattr(model, "label_words", False):
            module.requires_grad_(True)


def _tied(model: TransformersModel, module: nn.Module) -> bool:
    """Whether a head module shares its weights with the token embeddings."""
    embeddings = set(model.get_input_embeddings().parameters())
    return any(value in embeddings for value in module.parameters())


def _last_layers(model: TransformersModel, count: int, seed: int) -> None:
    blocks = at_path(model, architecture_of(model).blocks)
    rule = f"must be a whole number from 1 to {len(blocks)}, the number of blocks"
    require(isinstance(count, int) and 1 <= count <= len(blocks), "last_layers", count, rule)
    for block in blocks[len(blocks) - count :]:
        block.requires_grad_(True)
    final_norm = architecture_of(model).final_norm
    if final_norm is not None:
        at_path(model, final_norm).requires_grad_(True)
    _head(model, None, seed)


def lora_config(model: nn.Module, options: Mapping[str, Any] | None) -> Any:
    """Return peft's configuration of the adapters of a transformers model, see `set_trainable`."""
    from peft import LoraConfig  # slow to import, and few jobs need it

    chosen = {**LORA_DEFAULTS, **(options or {})}
    for key in chosen:
        require(key in LORA_DEFAULTS, f"lora.{key}", chosen[key], "unknown option", nearest(key, LORA_DEFAULTS))
    targets = list(chosen["targets"] or architecture_of(model).lora_targets)
    require(bool(targets), "lora.targets", chosen["targets"], "no query and value were found", _linear_names(model))
    transposed = any(
        isinstance(module, Conv1D) and name.split(".")[-1] in targets for name, module in model.named_modules()
    )
    return LoraConfig(
        r=chosen["rank"],
        lora_alpha=chosen["alpha"],
        lora_dropout=chosen["dropout"],
        target_modules=targets,
        fan_in_fan_out=transposed,
    )


def _lora(model: nn.Module, options: Mapping[str, Any] | None, seed: int) -> None:
    from peft import inject_adapter_in_model

    config = lora_config(model, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            raise InvalidValue(f"lora.targets = {sorted(config.target_modules)!r}: {error}") from None
    _new_head(model)


def _linear_names(model: nn.Module) -> str:
    names = {
        name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)
    }
    return f"Name some of its matrices: {', '.join(sorted(names))}."


def _bitfit(model: nn.Module, options: None, seed: int) -> None:
    biases = [value for name, value in model.named_parameters() if name.split(".")[-1] == "bias"]
    if not biases:
        raise Unsupported(f"trainable_part = 'bitfit': {type(model).__name__} has no bias terms. Choose another part.")
    for value in biases:
        value.requires_grad_(True)
    _new_head(model)


PARTS: dict[str, Callable[[nn.Module, Any, int], None]] = {
    "full": _full,
    UNTRAINED: lambda model, options, seed: None,
    "head": _head,
    "last_layers": _last_layers,
    "lora": _lora,
    "bitfit": _bitfit,
}


def trained_parameters(
    model_folder: Path, *, card: DatasetCard, part: str | Mapping[str, Any], prompted: bool = False
) -> int:
    """Return the number of trained parameters of a prepared model.

    The data set's card says whether it is a classifier, and of how many classes; ``prompted``: these are label words.
    """
    config = AutoConfig.from_pretrained(model_folder, local_files_only=True)
    with torch.device("meta"):
        if prompted:
            model = unloaded_prompted(config, len(card.labels))
        elif card.task == "classification":
            config.num_labels = len(card.labels)
            model = AutoModelForSequenceClassification.from_config(config)
        else:
            model = AutoModelForCausalLM.from_config(config)
        return set_trainable(model, part, seed=0)["trainable"]
