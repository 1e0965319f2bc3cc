"""The frozen prefix: computed once, cached, and skipped in every training step.

If the embeddings and the first n blocks are frozen and have no dropout, their output for an example never changes. It
is computed once, in evaluation mode and float32. It is kept in memory or, above a bound, in a memory-mapped file.
Training then runs only the remaining blocks. If all blocks are frozen and a head reads a pooled vector, the cache holds
that vector, (N, H).
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.models.architectures import TransformersModel, architecture_of, at_path, dropouts_of, keep_architecture
from lmodp.models.classifier import SequenceClassifier, transformers_model
from lmodp.training.clipping.guard import MOST, TOLERANCE
from lmodp.training.examples import TokenColumns, all_batches, unlike
from lmodp.training.losses import explained

MEMORY_BOUND = 1 << 30  # bytes of activations that are kept in memory


@dataclass(frozen=True)
class Prefix:
    """The frozen, deterministic prefix of a model: so many ``blocks`` from the bottom, 0 for a ``reason``.

    ``pooled``: everything below the head is frozen, and the head reads one vector.
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
    dropouts = [name for name in dropouts_of(inner.config) if getattr(inner.config, name, 0)]
    if dropouts:
        return Prefix(0, False, f"dropout is on ({', '.join(dropouts)}), so the prefix is not deterministic")
    if not parts.ends_known and (
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


def prefix_states(
    model: nn.Module, examples: TokenColumns, prefixes: Sequence[Prefix], *, batch_size: int, folder: Path
) -> list[Tensor]:
    """Return the outputs of several prefixes of one model, from one pass over the examples in evaluation mode.

    What of the model is trained plays no part. ``folder`` holds a scratch file where they do not fit into memory.

    Returns:
        one float32 tensor per prefix: pooled states (N, H), or the states of all tokens (tokens, H).

    Raises:
        Unsupported: a state depends on the other examples of a batch: cached, it would escape the clipping's guard.
    """
    _require_own_states(model, examples, prefixes)
    width, tokens = transformers_model(model).config.hidden_size, int(examples.lengths.sum())
    found = [
        torch.empty(len(examples), width) if prefix.pooled else flat_store(tokens, width, folder=folder)
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
    training = model.training
    model.eval()
    for indices, batch in all_batches(examples, batch_size):
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        with torch.no_grad():
            with explained(model, inputs):
                states = _states(model, inputs, prefixes)
            yield indices, [state.float().cpu() for state in states]
    model.train(training)


def _require_own_states(model: nn.Module, examples: TokenColumns, prefixes: Sequence[Prefix]) -> None:
    """Compare states of a batch of the shortest and the longest examples with those of each beside itself alone."""
    training, rows = model.training, unlike(examples, MOST)
    model.eval()

    def states_of(chosen: np.ndarray) -> list[Tensor]:
        inputs = {name: value for name, value in examples.batch(chosen).items() if name != "labels"}
        with torch.no_grad(), explained(model, inputs):
            return _states(model, inputs, prefixes)

    together = states_of(rows)
    for place, row in enumerate(rows):
        for prefix, found, own in zip(prefixes, together, states_of(np.array([row, row])), strict=True):
            end = None if prefix.pooled else int(examples.lengths[row])
            error = float((found[place][:end] - own[0][:end]).norm() / own[0][:end].norm().clamp(min=1e-12))
            if error > TOLERANCE:
                raise Unsupported(
                    f"what the frozen layers make of one text changes by {error:.2g} of its length with the other "
                    "texts of its batch, padding included. Use a model whose layers see one text at a time."
                )
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
    keep_architecture(found, inner)
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


def flat_store(tokens: int, width: int, *, folder: Path) -> Tensor:
    """Return an empty float32 tensor (tokens, width); above `MEMORY_BOUND` it is memory-mapped in ``folder``.

    The scratch file is deleted as soon as it is mapped, so nothing is left behind.
    """
    if 4 * tokens * width <= MEMORY_BOUND:
        return torch.empty(tokens, width)
    path = folder / "activations.f32"
    path.parent.mkdir(parents=True, exist_ok=True)
    mapped = np.memmap(path, dtype=np.float32, mode="w+", shape=(tokens, width))
    path.unlink()
    return torch.from_numpy(mapped)


class CachedActivations:
    """Examples whose tokens are replaced by hidden states of the frozen prefix.

    ``store`` is (all tokens, H), float32; example i holds rows starts[i] to starts[i+1]. Labels come from ``examples``.
    """

    def __init__(self, store: Tensor, examples: TokenColumns):
        self.store, self.examples = store, examples

    def __len__(self) -> int:
        return len(self.examples)

    def arrange(self, indices: np.ndarray) -> np.ndarray:
        """Return the indices sorted by length, like `TokenColumns.arrange`."""
        return self.examples.arrange(indices)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return the columns, ``input_ids`` replaced by ``inputs_embeds`` (B, T, H), zero on padding."""
        batch = self.examples.batch(indices)
        mask, ids = batch["attention_mask"].cpu() > 0, batch.pop("input_ids")
        hidden = torch.zeros(*ids.shape, self.store.shape[1])
        starts = torch.from_numpy(self.examples.starts[np.asarray(indices)])
        rows = (starts[:, None] + torch.arange(ids.shape[1]))[mask]
        hidden[mask] = self.store[rows]
        batch["inputs_embeds"] = hidden.to(ids.device)
        return batch
