"""Local files: data sets that a user has downloaded, read from ``data_root``."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from lmodp.data.tables import Examples
from lmodp.errors import DamagedFile, InvalidValue, MissingFile


def load_local(name: str, data_root: Path | None) -> Examples:
    """Return a data set from the folder of local files.

    Raises:
        MissingFile: no folder was named, or a file is not in it.
        DamagedFile: a file lacks a column or holds something else.
        InvalidValue: the data set has no local reader.
    """
    if name not in _READERS:
        raise InvalidValue(f"dataset = {name!r}: has no reader for local files. Known: {', '.join(sorted(_READERS))}.")
    if data_root is None:
        raise MissingFile("data_root = None: local files need a folder. Set data_root in the config, or LMODP_DATA_ROOT.")
    return _READERS[name](data_root)


def _read_sst2(data_root: Path) -> Examples:
    """GLUE SST-2: ``sst2/{train,validation}.tsv`` with columns sentence and label."""
    parts = {split: _read_table(data_root / "sst2" / f"{split}.tsv", ("sentence", "label")) for split in ("train", "validation")}
    rows = [row for part in parts.values() for row in part]
    starts = {"train": 0, "validation": len(parts["train"])}
    return Examples(
        columns={"sentence": [row["sentence"].strip() for row in rows], "label": [_label(row["label"]) for row in rows]},
        splits={split: list(range(starts[split], starts[split] + len(parts[split]))) for split in parts},
    )


def _label(text: str) -> int:
    if text not in {"0", "1"}:
        raise DamagedFile(f"label = {text!r}: must be 0 or 1.")
    return int(text)


def _read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a tab-separated file; quotes are ordinary characters in GLUE's files."""
    if not path.is_file():
        raise MissingFile(f"file = {str(path)!r}: is not there. data_root must hold {path.parent.name}/{path.name}.")
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [name for name in columns if name not in (reader.fieldnames or [])]
        if missing:
            raise DamagedFile(f"file = {str(path)!r}: lacks column {', '.join(missing)}; it has {reader.fieldnames}.")
        return list(reader)


_READERS: dict[str, Callable[[Path], Examples]] = {"sst2": _read_sst2}
