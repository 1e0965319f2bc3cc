"""Local files: data sets that a user has downloaded, read from ``data_root`` (see ``files`` in ``cards.toml``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lmodp.data.cards import DATASETS, LAYOUTS
from lmodp.data.classification import FORMS, read_classification
from lmodp.data.table_to_text import read_table_to_text
from lmodp.data.tables import Examples
from lmodp.errors import InvalidValue, MissingFile, nearest, require


def local_paths(
    name: str,
    data_root: Path | None,
    *,
    layout: str = "plain",
    files: Mapping[str, str] | None = None,
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


def load_local(
    name: str,
    data_root: Path | None,
    *,
    layout: str = "plain",
    files: Mapping[str, str] | None = None,
    splits: Sequence[str] | None = None,
) -> Examples:
    """Return a data set, or some of its splits, from the folder of local files; see `local_paths`.

    Raises:
        MissingFile, DamagedFile: a file is not there, lacks a column or has invalid content.
    """
    paths = local_paths(name, data_root, layout=layout, files=files)
    return read_splits(name, {split: paths[split] for split in splits or paths})


def read_splits(name: str, files: Mapping[str, Path]) -> Examples:
    """Return a data set from one file per split, in any of its published formats."""
    read = read_classification if name in FORMS else read_table_to_text
    return read(DATASETS[name], files)
