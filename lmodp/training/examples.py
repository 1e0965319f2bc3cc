"""Sources of training examples: anything with ``len`` and ``batch(indices)``.

An example source may also have ``arrange(indices)``, which puts a drawn batch into the order in which it is cut into
micro-batches. The clipped sum does not depend on that order; the amount of padding does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lmodp.errors import require
from lmodp.training.losses import IGNORED
from lmodp.training.sampling import micro_batches


class Examples(Protocol):
    """What the engine requires of training data."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return tensors whose first dimension follows ``indices`` (repeats allowed)."""
        ...


def arranged(examples: Examples, indices: np.ndarray) -> np.ndarray:
    """Return the drawn indices in the order the examples prefer to be cut in."""
    arrange = getattr(examples, "arrange", None)
    return indices if arrange is None else arrange(indices)


def unlike(examples: Examples, count: int) -> np.ndarray:
    """Return up to ``count`` rows from both ends of the order that examples prefer, the shortest and the longest in
    turn."""
    order = arranged(examples, np.arange(len(examples)))
    both = np.stack([order, order[::-1]], axis=1).ravel()
    return both[: min(count, len(order))]


def all_batches(examples: Examples, size: int) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
    """Yield all examples, ``size`` at a time in the order they prefer: their numbers, and their batch."""
    for rows in micro_batches(arranged(examples, np.arange(len(examples))), size):
        yield rows, examples.batch(rows)


class TokenColumns:
    """Ragged token columns in flat arrays, padded to the longest example of a micro-batch.

    Args:
        columns: name -> one sequence of token ids per example, of one length for all columns of an example.
        padding: name -> value that pads the column. ``attention_mask`` is added: 1 on tokens, 0 on padding.
        values: name -> one number per example, (N,), for example class labels.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Sequence[int] | np.ndarray]],
        *,
        padding: Mapping[str, int],
        values: Mapping[str, Sequence[int] | np.ndarray] | None = None,
        device: torch.device | str = "cpu",
    ):
        lengths = {name: np.fromiter((len(row) for row in rows), dtype=np.int64) for name, rows in columns.items()}
        self.lengths = next(iter(lengths.values()))
        require(len(self.lengths) > 0, "columns", sorted(columns), "hold no example")
        for name, found in lengths.items():
            same = np.array_equal(found, self.lengths)
            require(same, f"columns[{name!r}]", "lengths", "differ from the other columns")
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self.flat = {
            name: np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]) for name, rows in columns.items()
        }
        self.padding = {name: padding.get(name, IGNORED if name == "labels" else 0) for name in columns}
        self.values = {name: np.asarray(column) for name, column in (values or {}).items()}
        self.device = device

    def __len__(self) -> int:
        return len(self.lengths)

    def arrange(self, indices: np.ndarray) -> np.ndarray:
        """Return the indices by length, so that neighbours need little padding."""
        return indices[np.argsort(self.lengths[indices], kind="stable")]

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return each column as (B, T), T the longest example here, ``attention_mask`` and values (B,)."""
        indices = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[indices]
        offsets = np.arange(int(lengths.max(initial=1)))
        mask = offsets[None, :] < lengths[:, None]
        place = np.where(mask, self.starts[indices][:, None] + offsets, 0)
        found = {name: np.where(mask, flat[place], self.padding[name]) for name, flat in self.flat.items()}
        found["attention_mask"] = mask.astype(np.int64)
        found |= {name: column[indices] for name, column in self.values.items()}
        return {name: torch.from_numpy(np.ascontiguousarray(value)).to(self.device) for name, value in found.items()}


class SomeExamples:
    """Some examples of others; ``rows`` ascend."""

    def __init__(self, examples: Examples, rows: np.ndarray):
        self.examples, self.rows = examples, rows

    def __len__(self) -> int:
        return len(self.rows)

    def arrange(self, indices: np.ndarray) -> np.ndarray:
        """Return the indices in the order in which the others prefer to be cut."""
        return np.searchsorted(self.rows, arranged(self.examples, self.rows[indices]))

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return the others' batch of these rows."""
        return self.examples.batch(self.rows[indices])


class TensorExamples:
    """Examples held as tensors (N, ...), in memory or memory-mapped: cached activations, labels."""

    def __init__(self, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu"):
        sizes = {len(tensor) for tensor in tensors.values()}
        require(len(sizes) == 1, "tensors", sorted(sizes), "must have one first dimension, N")
        self.tensors, self.device = dict(tensors), device

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return the rows of every tensor, copied."""
        rows = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return {name: tensor.index_select(0, rows).to(self.device) for name, tensor in self.tensors.items()}
