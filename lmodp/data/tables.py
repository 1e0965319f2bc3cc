"""Examples as plain columns, and their way through the `datasets` library to disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset, DatasetDict, load_from_disk

from lmodp.errors import MissingFile


@dataclass(frozen=True)
class Examples:
    """Columns of equal length, row numbers by split, and what was refused.

    Args:
        columns: name to list of values; a classification set has ``sentence``
            (and ``sentence2`` for pairs) and ``label``.
        splits: split name to row numbers.
        refused: reason to number of rows that were left out for it.
    """

    columns: Mapping[str, list]
    splits: Mapping[str, list[int]]
    refused: Mapping[str, int] = field(default_factory=dict)

    def to_datasets(self) -> DatasetDict:
        """Return the splits as a `datasets.DatasetDict`."""
        table = Dataset.from_dict(dict(self.columns))
        return DatasetDict({name: table.select(rows) for name, rows in self.splits.items()})


def save_splits(splits: DatasetDict, folder: Path) -> None:
    """Write the splits; the folder is complete when ``dataset_dict.json`` is there."""
    splits.flatten_indices().save_to_disk(str(folder))


def load_splits(folder: Path) -> DatasetDict:
    """Return the splits that `prepare_dataset` wrote.

    Raises:
        MissingFile: the folder is not there or not complete.
    """
    if not (folder / "dataset_dict.json").is_file():
        raise MissingFile(f"dataset = {str(folder)!r}: is not there. Run the stage prepare_dataset.")
    return load_from_disk(str(folder))
