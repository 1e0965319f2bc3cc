"""Where data sets come from: packages ("embedded"), local files below ``data_root``, or a hub."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmodp.data.cards import DATASETS, LAYOUTS, DatasetCard
from lmodp.data.embedded import load_made_up, load_movie_reviews, load_venues
from lmodp.data.files import HIDDEN, Table, read_table
from lmodp.data.hub import hub_files
from lmodp.data.locks import hub_entry
from lmodp.data.own import load_own
from lmodp.data.source_settings import SourceSettings
from lmodp.data.table_to_text import read_table_to_text
from lmodp.data.tables import Examples, join_splits
from lmodp.errors import DamagedFile, InvalidValue, MissingFile, nearest, require

EMBEDDED: dict[str, Callable[[Path], Examples]] = {
    "movie_reviews": load_movie_reviews,
    "made_up": lambda cache_root: load_made_up(),
    "venues": lambda cache_root: load_venues(),
}


# The names that each column of a GLUE set may have, the publisher's or a hub's: one or two sentences, then the label.
FORMS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "sst2": (("sentence",), ("label",)),
    "mnli": (("sentence1", "premise"), ("sentence2", "hypothesis"), ("gold_label", "label")),
    "qnli": (("question",), ("sentence",), ("label",)),
    "qqp": (("question1",), ("question2",), ("is_duplicate", "label")),
}


def load_examples(
    card: DatasetCard, source: str, *, cache_root: Path, data_root: Path | None, settings: SourceSettings
) -> Examples:
    """Return a data set from its source.

    Raises:
        InvalidValue: the source does not offer it.
        LmodpError: see `local_paths`, `read_splits`, `load_own` and `hub_files`.
    """
    if card.name in settings.datasets:
        return load_own(settings.datasets[card.name], cache_root=cache_root, data_root=data_root)
    if source == "embedded" and card.name in EMBEDDED:
        return EMBEDDED[card.name](cache_root)
    if source == "local":
        files = settings.local_files.get(card.name)
        return read_splits(card.name, local_paths(card.name, data_root, layout=settings.local_layout, files=files))
    if source == "hub":
        entry = hub_entry(card.name, kind="dataset", revisions=settings.hub_revisions)
        folder = hub_files(entry, cache_root=cache_root)
        return read_splits(card.name, {split: folder / path for split, path in entry.files.items()})
    offered = "embedded" if card.name in EMBEDDED else "local or hub"
    raise InvalidValue(f"source = {source!r}: is not offered for data set {card.name!r}. Use {offered}.")


def local_paths(
    name: str, data_root: Path | None, *, layout: str = "plain", files: Mapping[str, str] | None = None
) -> dict[str, Path]:
    """Return the file of every split: those of one of `LAYOUTS`, or what ``files`` says, below ``data_root``.

    Raises:
        MissingFile: no folder is given.
        InvalidValue: the data set has no local files, or the layout or a split is unknown.
    """
    if layout not in LAYOUTS:
        raise InvalidValue(f"local_layout = {layout!r}: unknown layout. {nearest(layout, LAYOUTS)}")
    if name not in LAYOUTS[layout]:
        raise InvalidValue(
            f"dataset = {name!r}: has no reader for local files. Known: {', '.join(sorted(LAYOUTS[layout]))}."
        )
    if data_root is None:
        raise MissingFile(
            "data_root = None: local files need a folder. Set data_root in the config, or LMODP_DATA_ROOT."
        )
    known = LAYOUTS[layout][name]
    for split in files or {}:
        require(split in known, f"local_files.{name}", split, "is no split of this data set", nearest(split, known))
    return {split: data_root / path for split, path in {**known, **(files or {})}.items()}


def read_splits(name: str, files: Mapping[str, Path]) -> Examples:
    """Return a data set from one file per split, in any of its published formats."""
    read = read_classification if name in FORMS else read_table_to_text
    return read(DATASETS[name], files)


def read_classification(card: DatasetCard, files: Mapping[str, Path]) -> Examples:
    """Return a GLUE set from one file per split, in any format of `read_table`.

    Raises:
        MissingFile, DamagedFile: a file does not exist, is not readable, lacks a column, or has an unknown label.
    """
    return join_splits({split: _read_split(card, path) for split, path in files.items()})


def _read_split(card: DatasetCard, path: Path) -> Examples:
    *texts, _ = FORMS[card.name]
    table = read_table(path, FORMS[card.name])
    columns: dict[str, list[Any]] = {}
    for number, (name, known) in enumerate(zip(("sentence", "sentence2"), texts, strict=False)):
        columns[name] = [text.strip() for text in table.texts(number, " or ".join(known))]
    return Examples({**columns, "label": _labels(card, table)}, {}, refused=table.refused)


def _labels(card: DatasetCard, table: Table) -> list[int]:
    numbers = {name: number for number, name in enumerate(card.labels)}
    numbers |= {str(number): number for number in range(len(card.labels))}
    for place, row in enumerate(table.rows):
        if str(row[-1]) not in numbers:
            known = ", ".join(f"{number} or {name}" for number, name in enumerate(card.labels))
            hint = HIDDEN if str(row[-1]) == "-1" else ""
            raise DamagedFile(f"{table.place(place)}, label = {row[-1]!r}: must be {known}.{hint}")
    return [numbers[str(row[-1])] for row in table.rows]
