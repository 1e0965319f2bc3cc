"""The frozen prefix: computed once, cached, and skipped in every training step.

If the embeddings and the first n blocks are frozen and have no dropout, their output for an example never changes. It
is computed once, in evaluation mode and float32. It is kept in memory or, above a bound, in a memory-mapped file.
Training then runs only the remaining blocks. If all blocks are frozen and a head reads a pooled vector, the cache holds
that vector, (N, H).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.models.activations import MEMORY_BOUND, CachedActivations, flat_store
from lmodp.models.architectures import TransformersModel, architecture_of, at_path
from lmodp.models.classifier import SequenceClassifier, transformers_model
from lmodp.training.examples import TensorExamples, TokenColumns
from lmodp.training.losses import explained


@dataclass(frozen=True)
class Prefix:
    """The part of a model that is a frozen, deterministic prefix.

    Args:
        blocks: number of frozen blocks from the bottom; 0 if there is no prefix to cache.
        pooled: everything below the head is frozen, and the head reads one vector.
        reason: why there is no prefix, if ``blocks`` is 0.
    """

    blocks: int
    pooled: bool
    reason: str = ""


def find_prefix(model: nn.Module) -> Prefix:
    """Return the frozen prefix of a model whose trainable part is set.

    Edge cases: trained embeddings, a trained first block or any dropout give 0 blocks, with the reason.
    """
    inner = transformers_model(model)
    parts = architecture_of(inner)
    dropouts = [name for name in parts.dropouts if getattr(inner.config, name, 0)]
    if dropouts:
        return Prefix(0, False, f"dropout is on ({', '.join(dropouts)}), so the prefix is not deterministic")
    if parts.inferred and (
        _trained(at_path(inner, parts.backbone).parameters()) or not isinstance(model, SequenceClassifier)
    ):
        return Prefix(0, False, f"where the embeddings of a {inner.config.model_type!r} end is not known")
    if _trained(_embedding_parameters(inner)):
        return Prefix(0, False, "the embeddings are trained")
    blocks = list(at_path(inner, parts.blocks))
    count = next((index for index, block in enumerate(blocks) if _trained(block.parameters())), len(blocks))
    if count == 0:
        return Prefix(0, False, "the first block is trained")
    norm_frozen = parts.final_norm is None or not _trained(at_path(inner, parts.final_norm).parameters())
    return Prefix(count, count == len(blocks) and norm_frozen and isinstance(model, SequenceClassifier))


def _trained(parameters: Iterable[nn.Parameter]) -> bool:
    return any(value.requires_grad for value in parameters)


def _embedding_parameters(inner: TransformersModel) -> list[nn.Parameter]:
    parts = architecture_of(inner)
    paths = [path for path in (parts.embeddings, parts.added_embeddings) if path is not None]
    modules = [inner.get_input_embeddings(), *(at_path(inner, path) for path in paths)]
    return [value for module in modules for value in module.parameters()]


def cache_prefix(
    model: nn.Module,
    examples: TokenColumns,
    *,
    batch_size: int = 64,
    memory_bound: int = MEMORY_BOUND,
    folder: Path | str | None = None,
) -> tuple[nn.Module, TensorExamples | CachedActivations]:
    """Return the rest of a model and the cached outputs of its frozen prefix.

    The returned model shares its parameters with ``model``, so training one trains the other. Its batches contain
    ``pooled`` (B, H), or ``inputs_embeds`` (B, T, H) with ``attention_mask``, and the examples' labels.

    Args:
        model: a `SequenceClassifier`, or a causal language model; its prefix is that of `find_prefix`.
        examples: token columns with ``input_ids``.
        batch_size: examples in one forward pass while caching.
        memory_bound: up to this many bytes, activations are kept in memory; above it they go to a file in ``folder``.
        folder: folder of that file.

    Raises:
        Unsupported: there is no prefix to cache; the reason is given.
        InvalidValue: the bound is exceeded and no folder is given.
    """
    prefix = find_prefix(model)
    if prefix.blocks == 0:
        raise Unsupported(f"the frozen prefix cannot be cached: {prefix.reason}")
    (states,) = prefix_states(
        model, examples, [prefix], batch_size=batch_size, memory_bound=memory_bound, folder=folder
    )
    if prefix.pooled:
        values = {name: torch.from_numpy(values) for name, values in examples.values.items()}
        return model, TensorExamples({"pooled": states, **values}, device=examples.device)
    return suffix_of(model, prefix.blocks), CachedActivations(states, examples)


def prefix_states(
    model: nn.Module,
    examples: TokenColumns,
    prefixes: Sequence[Prefix],
    *,
    batch_size: int,
    memory_bound: int = MEMORY_BOUND,
    folder: Path | str | None = None,
) -> list[Tensor]:
    """Return the outputs of several prefixes of one model, from one pass over the examples.

    Args:
        model, examples, batch_size, memory_bound, folder: as in `cache_prefix`; what of the model is trained plays
            no part.
        prefixes: none without blocks.

    Returns:
        one float32 tensor per prefix: pooled states (N, H), or the states of all tokens (tokens, H).
    """
    width, tokens = transformers_model(model).config.hidden_size, int(examples.lengths.sum())
    found = [
        torch.empty(len(examples), width)
        if prefix.pooled
        else flat_store(tokens, width, memory_bound=memory_bound, folder=folder)
        for prefix in prefixes
    ]
    for indices, states in _forwards(model, examples, batch_size, prefixes):
        for prefix, store, values in zip(prefixes, found, states, strict=True):
            if prefix.pooled:
                store[torch.from_numpy(indices)] = values
                continue
            for row, index in enumerate(indices):
                start, length = examples.starts[index], examples.lengths[index]
                store[start : start + length] = values[row, :length]
    return found


def _forwards(
    model: nn.Module, examples: TokenColumns, batch_size: int, prefixes: Sequence[Prefix]
) -> Iterator[tuple[np.ndarray, list[Tensor]]]:
    """Yield (indices, a float32 output on the CPU per prefix) over all examples, by length."""
    order, training = examples.arrange(np.arange(len(examples))), model.training
    model.eval()
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = examples.batch(indices)
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        with torch.no_grad():
            with explained(model, inputs):
                states = _states(model, inputs, prefixes)
            yield indices, [state.float().cpu() for state in states]
    model.train(training)


class _Reached(Exception):
    """Raised to end a forward pass after the last block that is wanted."""


def _states(model: Any, inputs: dict[str, Tensor], prefixes: Sequence[Prefix]) -> list[Tensor]:
    """Run a model as far as the prefixes reach and return the output of each."""
    inner = transformers_model(model)
    parts = architecture_of(inner)
    blocks, hidden = at_path(inner, parts.blocks), dict[int, Tensor]()
    counts = {prefix.blocks for prefix in prefixes if not prefix.pooled}
    to_the_top = any(prefix.pooled for prefix in prefixes)

    def keep(count: int, output: Tensor | tuple) -> None:
        hidden[count] = output if isinstance(output, Tensor) else output[0]
        if count == max(counts) and not to_the_top:
            raise _Reached

    handles = [
        blocks[count - 1].register_forward_hook(lambda module, args, output, count=count: keep(count, output))
        for count in counts
    ]
    try:
        if to_the_top:
            hidden[0] = model.pooled_state(**inputs)
        else:
            getattr(inner, parts.backbone)(**{name: value for name, value in inputs.items() if name != "masks"})
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return [hidden[0 if prefix.pooled else prefix.blocks] for prefix in prefixes]


class _Given(nn.Module):
    """Replaces an encoder's embeddings; returns the cached hidden state."""

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, **_: object) -> Tensor | None:
        return inputs_embeds


class _Nothing(nn.Module):
    """Replaces embeddings that are added; the cached hidden state already contains them."""

    def forward(self, position_ids: Tensor) -> Tensor:
        return torch.zeros((), device=position_ids.device)


def suffix_of(model: nn.Module, blocks: int) -> nn.Module:
    """Return a view of the model without its embeddings and first ``blocks`` blocks.

    The view takes ``inputs_embeds`` and shares all parameters with the model, which is not changed.
    """
    inner = transformers_model(model)
    parts = architecture_of(inner)
    found = _view(inner)
    _replace(found, parts.blocks, nn.ModuleList(list(at_path(inner, parts.blocks))[blocks:]))
    if parts.embeddings is not None:
        _replace(found, parts.embeddings, _Given())
    if parts.added_embeddings is not None:
        _replace(found, parts.added_embeddings, _Nothing())
    if found is inner or not isinstance(model, SequenceClassifier):
        return found
    return SequenceClassifier(found, model.pooling)


def _view(module: nn.Module) -> nn.Module:
    """Return a shallow copy whose children can be replaced without touching the original's."""
    found = copy.copy(module)
    found._modules = dict(module._modules)
    return found


def _replace(root: nn.Module, path: str, new: nn.Module) -> None:
    """Put a module at a dotted path of a view; the modules on the way become views."""
    *way, name = path.split(".")
    for step in way:
        child = _view(root.get_submodule(step))
        root._modules[step] = child
        root = child
    root._modules[name] = new
