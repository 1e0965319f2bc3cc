"""The GLUE classification sets: sentences or pairs of sentences with a label.

One reader serves all file formats: columns may have the publisher's names or a hub's
names, and labels may be names or numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lmodp.data.cards import DatasetCard
from lmodp.data.files import Table, read_parquet, read_tsv
from lmodp.data.tables import Examples, join_splits
from lmodp.errors import DamagedFile


@dataclass(frozen=True)
class Form:
    """The names that each column may have; ``second`` is None for single sentences."""

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    label: tuple[str, ...]

    @property
    def columns(self) -> list[tuple[str, ...]]:
        """The columns to read, the label last."""
        return [names for names in (self.first, self.second, self.label) if names is not None]


FORMS: Mapping[str, Form] = {
    "sst2": Form(("sentence",), None, ("label",)),
    "mnli": Form(("sentence1", "premise"), ("sentence2", "hypothesis"), ("gold_label", "label")),
    "qnli": Form(("question",), ("sentence",), ("label",)),
    "qqp": Form(("question1",), ("question2",), ("is_duplicate", "label")),
}


def read_classification(card: DatasetCard, files: Mapping[str, Path]) -> Examples:
    """Return a GLUE set from one file per split.

    Args:
        card: of the data set; its labels are the label map.
        files: split name to a tab-separated or parquet file.

    Raises:
        MissingFile, DamagedFile: a file does not exist, is not readable, lacks a
            column, or has an unknown label.
    """
    return join_splits({split: _read_split(card, path) for split, path in files.items()})


def _read_split(card: DatasetCard, path: Path) -> Examples:
    form = FORMS[card.name]
    read = read_parquet if path.suffix == ".parquet" else read_tsv
    table = read(path, form.columns)
    columns = {"sentence": [row[0].strip() for row in table.rows]}
    if form.second is not None:
        columns["sentence2"] = [row[1].strip() for row in table.rows]
    return Examples({**columns, "label": _labels(card, table)}, {}, refused=table.refused)


def _labels(card: DatasetCard, table: Table) -> list[int]:
    numbers = {name: number for number, name in enumerate(card.labels)}
    numbers |= {str(number): number for number in range(len(card.labels))}
    for row, line in zip(table.rows, table.lines, strict=True):
        if str(row[-1]) not in numbers:
            known = ", ".join(f"{number} or {name}" for number, name in enumerate(card.labels))
            raise DamagedFile(f"file = {str(table.path)!r} line {line}, label = {row[-1]!r}: must be {known}.")
    return [numbers[str(row[-1])] for row in table.rows]
