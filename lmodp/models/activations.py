"""Cached hidden states of ragged examples, in memory or in a memory-mapped file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmodp.errors import Fault, InvalidValue
from lmodp.training.examples import TokenColumns

MEMORY_BOUND = 1 << 30  # default bound for the activations kept in memory, in bytes


def flat_store(tokens: int, width: int, *, memory_bound: int, folder: Path | str | None) -> Tensor:
    """Return an empty float32 tensor (tokens, width); above ``memory_bound`` bytes it is memory-mapped in ``folder``.

    The scratch file is deleted as soon as it is mapped, so nothing is left behind.

    Raises:
        InvalidValue: the bound is exceeded and no folder is given.
    """
    size = 4 * tokens * width
    if size <= memory_bound:
        return torch.empty(tokens, width)
    if folder is None:
        rule = f"the cached activations need {size} bytes"
        raise InvalidValue(
            str(Fault("memory_bound", memory_bound, rule, "Raise the bound, or give a folder for them."))
        )
    path = Path(folder) / "activations.f32"
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
