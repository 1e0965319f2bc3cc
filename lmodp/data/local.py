"""Local files: data sets that a user has downloaded, read from ``data_root``.

Two layouts have names. ``plain`` has one folder per data set and one file per split.
``official`` has the file names under which GLUE, E2E and DART are published. Files
with other names are given under ``local_files`` in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lmodp.data.cards import DATASETS
from lmodp.data.classification import FORMS, read_classification
from lmodp.data.table_to_text import read_table_to_text
from lmodp.data.tables import Examples
from lmodp.errors import InvalidValue, MissingFile, nearest, require

LAYOUTS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "plain": {
        "sst2": {"train": "sst2/train.tsv", "validation": "sst2/validation.tsv"},
        "mnli": {"train": "mnli/train.tsv", "validation": "mnli/validation.tsv"},
        "qnli": {"train": "qnli/train.tsv", "validation": "qnli/validation.tsv"},
        "qqp": {"train": "qqp/train.tsv", "validation": "qqp/validation.tsv"},
        "e2e": {"train": "e2e/train.csv", "validation": "e2e/validation.csv", "test": "e2e/test.csv"},
        "dart": {"train": "dart/train.json", "validation": "dart/validation.json", "test": "dart/test.json"},
    },
    "official": {
        "sst2": {"train": "SST-2/train.tsv", "validation": "SST-2/dev.tsv"},
        "mnli": {"train": "MNLI/train.tsv", "validation": "MNLI/dev_matched.tsv"},
        "qnli": {"train": "QNLI/train.tsv", "validation": "QNLI/dev.tsv"},
        "qqp": {"train": "QQP/train.tsv", "validation": "QQP/dev.tsv"},
        "e2e": {
            "train": "e2e-dataset/trainset.csv",
            "validation": "e2e-dataset/devset.csv",
            "test": "e2e-dataset/testset_w_refs.csv",
        },
        "dart": {
            "train": "dart/data/v1.1.1/dart-v1.1.1-full-train.json",
            "validation": "dart/data/v1.1.1/dart-v1.1.1-full-dev.json",
            "test": "dart/data/v1.1.1/dart-v1.1.1-full-test.json",
        },
    },
}


def local_paths(
    name: str,
    data_root: Path | None,
    *,
    layout: str = "plain",
    files: Mapping[str, str] | None = None,
) -> dict[str, Path]:
    """Return the file of every split.

    Args:
        name: of the data set.
        data_root: folder of local files.
        layout: one of `LAYOUTS`.
        files: path of each split below ``data_root``, instead of the layout's.

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
    """Return a data set from the folder of local files.

    Args:
        name, data_root, layout, files: as in `local_paths`.
        splits: the splits to read; None for all.

    Raises:
        MissingFile: no folder is given, or a file is not in it.
        DamagedFile: a file lacks a column or has invalid content.
        InvalidValue: the data set has no local reader.
    """
    paths = local_paths(name, data_root, layout=layout, files=files)
    return read_splits(name, {split: paths[split] for split in splits or paths})


def read_splits(name: str, files: Mapping[str, Path]) -> Examples:
    """Return a data set from one file per split, in any of its published formats."""
    read = read_classification if name in FORMS else read_table_to_text
    return read(DATASETS[name], files)
