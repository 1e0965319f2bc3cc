"""Where each architecture keeps its blocks, its final norm and its head.

Pooling, trainable parts and the frozen prefix use it. Paths are relative to the transformers model, for example
``RobertaForSequenceClassification``.
"""

import re
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from lmodp.errors import Unsupported

# A model of the transformers library. Its attributes differ by architecture, and torch types all of them as
# "Tensor or Module"; so a checker is told nothing.
TransformersModel = Any


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Names of the parts of a transformers model, read from the model.

    Args:
        backbone: the encoder or decoder without a head.
        blocks: the list of transformer blocks.
        final_norm: norm after the last block, if there is one.
        head: modules of the task's head; modules that a model lacks are skipped.
        lora_targets: usual modules for low-rank adapters (attention's query and value, or the matrix that contains
            both).
        native_pooling: the pooling of the transformers classifier.
        embeddings: module that turns tokens into the first block's input, if a single module does this (it also
            receives ``inputs_embeds``).
        added_embeddings: module whose output is added to ``inputs_embeds``.
        ends_known: whether it is known where its embeddings end; else a frozen prefix ends below the head or nowhere.
    """

    backbone: str
    blocks: str
    final_norm: str | None
    head: tuple[str, ...]
    lora_targets: tuple[str, ...]
    native_pooling: str
    embeddings: str | None = None
    added_embeddings: str | None = None
    ends_known: bool = False


# What a model does not show: where its embeddings end, and that BERT's pooler belongs to the head.
_KNOWN: dict[str, dict[str, Any]] = {
    "roberta": {"embeddings": "roberta.embeddings"},
    "bert": {"embeddings": "bert.embeddings", "head": ("bert.pooler", "classifier", "cls")},
    "gpt2": {"added_embeddings": "transformer.wpe"},
    "llama": {},
}
_FOUND: WeakKeyDictionary[nn.Module, Architecture] = WeakKeyDictionary()  # a forward pass asks twice


def architecture_of(model: nn.Module) -> Architecture:
    """Return where a transformers model keeps its parts; raise `Unsupported` if they are at no usual place."""
    if model not in _FOUND:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        found = _inferred(model)
        if found is None:
            raise Unsupported(f"model_type = {kind!r}: no list of blocks was found in it. Use another model.")
        _FOUND[model] = replace(found, **_KNOWN[kind], ends_known=True) if kind in _KNOWN else found
    return _FOUND[model]


def keep_architecture(view: nn.Module, model: nn.Module) -> None:
    """Let a view of a model, which shows fewer of its parts, have the model's architecture."""
    _FOUND[view] = architecture_of(model)


def dropouts_of(config: Any) -> tuple[str, ...]:
    """Return the names of a config's dropout rates; whole layers that are left out are another thing."""
    return tuple(
        name
        for name, value in vars(config).items()
        if "drop" in name and not re.search("layer|summary", name) and isinstance(value, int | float)
    )


# Names of attention's query and value, or of the matrix that contains both, in the families of transformers.
_QUERY_AND_VALUE = (
    ("query", "value"),
    ("q_proj", "v_proj"),
    ("q_lin", "v_lin"),
    ("query_proj", "value_proj"),
    ("query_key_value",),
    ("qkv_proj",),
    ("Wqkv",),
    ("c_attn",),
    ("q", "v"),
)


def _inferred(model: TransformersModel) -> Architecture | None:
    """Return where a model keeps its parts, from its base model's name and its list of blocks; None without."""
    backbone, config = getattr(model, "base_model_prefix", ""), getattr(model, "config", None)
    if not backbone or not isinstance(getattr(model, backbone, None), nn.Module):
        return None
    lists = ((name, part) for name, part in model.named_modules() if isinstance(part, nn.ModuleList))
    count = getattr(config, "num_hidden_layers", None)
    blocks = next((name for name, part in lists if name.startswith(f"{backbone}.") and len(part) == count), None)
    if blocks is None:
        return None
    parent, _, last = blocks.rpartition(".")
    children = list(model.get_submodule(parent).named_children())
    after = children[[name for name, _ in children].index(last) + 1 :]
    norms = [name for name, part in after if [value.dim() for value in part.parameters()] in ([1], [1, 1])]
    mean = getattr(config, "classifier_pooling", None) == "mean"
    leaves = {name.rpartition(".")[2] for name, _ in model.get_submodule(blocks).named_modules()}
    return Architecture(
        backbone=backbone,
        blocks=blocks,
        final_norm=f"{parent}.{norms[-1]}" if norms else None,
        head=tuple(name for name, part in model.named_children() if name != backbone and list(part.parameters())),
        lora_targets=next((names for names in _QUERY_AND_VALUE if leaves.issuperset(names)), ()),
        native_pooling="last" if hasattr(model, "score") else "mean" if mean else "first",
    )


def at_path(model: TransformersModel, path: str) -> Any:
    """Return the submodule at a dotted path, or None."""
    return reduce(lambda module, name: getattr(module, name, None), path.split("."), model)


def head_modules(model: nn.Module) -> list[nn.Module]:
    """Return the modules of the task's head that a transformers model has."""
    found = (at_path(model, path) for path in architecture_of(model).head)
    return [module for module in found if module is not None]
