"""The stage prepare_dataset: from a source to checked, split examples on disk."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from datasets.utils.logging import disable_progress_bar

from lmodp.data.local import load_local
from lmodp.data.made_up import load_made_up
from lmodp.data.movie_reviews import load_movie_reviews
from lmodp.data.registry import DATASETS, DatasetCard
from lmodp.data.tables import Examples, save_splits
from lmodp.errors import DamagedFile, InvalidValue

EMBEDDED: dict[str, Callable[[Path], Examples]] = {
    "movie_reviews": load_movie_reviews,
    "made_up": lambda cache_root: load_made_up(),
}


def prepare_dataset(spec: Mapping[str, Any], *, folder: Path, cache_root: Path, data_root: Path | None) -> dict[str, Any]:
    """Load a data set from its source, check it against its card and write it to ``folder``.

    Args:
        spec: ``dataset`` and ``source``.
        folder: where the splits are written for `datasets.load_from_disk`.
        cache_root: folder with fetched packages.
        data_root: folder with local files, for the local source.

    Returns:
        The record's content: sizes, label counts, refused rows, and a SHA-256 of
        every split's rows, by which two machines can compare their data.

    Raises:
        DamagedFile: the number of rows is not the card's; the sampling rate, and
            with it every privacy statement, would be another.
        InvalidValue: the source does not offer the data set.
    """
    disable_progress_bar()
    card = DATASETS[spec["dataset"]]
    examples = _load(card, spec["source"], cache_root, data_root)
    splits = examples.to_datasets()
    _check_sizes(card, splits)
    _write(splits, folder)
    return {
        "title": card.title,
        "task": card.task,
        "licence": card.licence,
        "notes": list(card.notes),
        "evaluation_split": card.evaluation_split,
        "labels": list(card.labels),
        "sizes": {name: len(rows) for name, rows in splits.items()},
        "label_counts": {name: _label_counts(card, rows) for name, rows in splits.items()},
        "refused": dict(examples.refused),
        "sha256": {name: _hash_rows(rows) for name, rows in splits.items()},
    }


def _load(card: DatasetCard, source: str, cache_root: Path, data_root: Path | None) -> Examples:
    if source == "embedded" and card.name in EMBEDDED:
        return EMBEDDED[card.name](cache_root)
    if source == "local":
        return load_local(card.name, data_root)
    offered = "embedded, local" if card.name in EMBEDDED else "local"
    raise InvalidValue(f"source = {source!r}: is not offered for data set {card.name!r}. Use {offered}.")


def _check_sizes(card: DatasetCard, splits: DatasetDict) -> None:
    for split, expected in (("train", card.train_size), (card.evaluation_split, card.evaluation_size)):
        found = len(splits[split])
        if found != expected:
            raise DamagedFile(
                f"{card.name} {split} = {found} rows: must be {expected}. Its certificates rest on the number of "
                "training examples; the file is not the one that was published, or it was read wrongly."
            )


def _write(splits: DatasetDict, folder: Path) -> None:
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    save_splits(splits, scratch)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.replace(folder)


def _label_counts(card: DatasetCard, rows: Any) -> dict[str, int]:
    labels = list(rows["label"]) if "label" in rows.column_names else []
    return {name: labels.count(number) for number, name in enumerate(card.labels)}


def _hash_rows(rows: Any) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
