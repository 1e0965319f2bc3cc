"""Examples as columns, and how the `datasets` library writes them to disk."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lmodp.errors import MissingFile

if TYPE_CHECKING:
    from datasets import DatasetDict  # takes long to import, and who only counts rows needs none of it


@dataclass(frozen=True)
class Examples:
    """Columns of equal length, row numbers by split, and the number of refused rows by reason and by split.

    A classification set has ``sentence`` (and ``sentence2`` for pairs) and ``label``, a table-to-text set has
    ``record`` and ``text``. ``labels`` are class names in the order of their numbers, where they were found in the
    data.
    """

    columns: Mapping[str, list]
    splits: Mapping[str, list[int]]
    refused: Mapping[str, int] = field(default_factory=dict)
    refused_of: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def shared(self, split: str, other: str) -> int:
        """Return how many examples of the other split have the input of an example of the first."""
        names = [name for name in ("sentence", "sentence2", "record") if name in self.columns]
        inputs = list(zip(*(self.columns[name] for name in names), strict=True))
        known = {inputs[row] for row in self.splits[split]}
        return sum(inputs[row] in known for row in self.splits[other])

    def hash_of(self, split: str, key: bytes | None = None) -> str:
        """Return a SHA-256 over a split's rows, so that two machines can compare their data.

        With a key, only who has it can tell whether rows are these.
        """
        digest = hashlib.sha256() if key is None else hmac.new(key, digestmod="sha256")
        encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode  # json.dumps would make one per row
        for row in self.splits[split]:
            digest.update(f"{encode({name: column[row] for name, column in self.columns.items()})}\n".encode())
        return digest.hexdigest()

    def to_datasets(self) -> DatasetDict:
        """Return the splits as a `datasets.DatasetDict`."""
        from datasets import Dataset, DatasetDict

        table = Dataset.from_dict(dict(self.columns))
        return DatasetDict({name: table.select(rows) for name, rows in self.splits.items()})


def join_splits(parts: Mapping[str, Examples]) -> Examples:
    """Join one `Examples` per split into one; their own splits are ignored."""
    columns: dict[str, list] = {}
    splits: dict[str, list[int]] = {}
    refused: dict[str, int] = {}
    for split, part in parts.items():
        start = sum(map(len, splits.values()))
        splits[split] = list(range(start, start + len(part)))
        for name, values in part.columns.items():
            columns.setdefault(name, []).extend(values)
        for reason, count in part.refused.items():
            refused[reason] = refused.get(reason, 0) + count
    return Examples(columns, splits, refused, {split: sum(part.refused.values()) for split, part in parts.items()})


def load_splits(folder: Path) -> DatasetDict:
    """Return the splits that `prepare_dataset` wrote; raise `MissingFile` if the folder is not complete."""
    if not (folder / "dataset_dict.json").is_file():
        raise MissingFile(f"dataset = {str(folder)!r}: does not exist. Run the stage prepare_dataset.")
    from datasets import load_from_disk

    return load_from_disk(str(folder))
