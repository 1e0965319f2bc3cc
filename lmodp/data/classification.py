"""The GLUE classification sets: sentences or pairs of sentences with a label.

One reader serves all file formats: columns may have the publisher's names or a hub's
names, and labels may be names or numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lmodp.data.cards import DatasetCard
from lmodp.data.files import HIDDEN, Table, read_table
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
    """Return a GLUE set from one file per split, in any format of `read_table`.

    Raises:
        MissingFile, DamagedFile: a file does not exist, is not readable, lacks a column, or has an unknown label.
    """
    return join_splits({split: _read_split(card, path) for split, path in files.items()})


def _read_split(card: DatasetCard, path: Path) -> Examples:
    form = FORMS[card.name]
    table = read_table(path, form.columns)
    columns = {"sentence": _sentences(table, 0, form.first)}
    if form.second is not None:
        columns["sentence2"] = _sentences(table, 1, form.second)
    return Examples({**columns, "label": _labels(card, table)}, {}, refused=table.refused)


def _sentences(table: Table, column: int, names: tuple[str, ...]) -> list[str]:
    return [text.strip() for text in table.texts(column, " or ".join(names))]


def _labels(card: DatasetCard, table: Table) -> list[int]:
    numbers = {name: number for number, name in enumerate(card.labels)}
    numbers |= {str(number): number for number in range(len(card.labels))}
    for place, row in enumerate(table.rows):
        if str(row[-1]) not in numbers:
            known = ", ".join(f"{number} or {name}" for number, name in enumerate(card.labels))
            hint = HIDDEN if str(row[-1]) == "-1" else ""
            raise DamagedFile(f"{table.place(place)}, label = {row[-1]!r}: must be {known}.{hint}")
    return [numbers[str(row[-1])] for row in table.rows]
