"""The stage prepare_dataset: reads a data set from its source, checks it, and writes its splits to disk."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from datasets.utils.logging import disable_progress_bar

from lmodp.data.cards import DatasetCard, card_of
from lmodp.data.source_settings import SourceSettings
from lmodp.data.sources import load_examples
from lmodp.data.table_to_text import group_references
from lmodp.data.tables import Examples
from lmodp.errors import DamagedFile


def prepare_dataset(
    spec: Mapping[str, Any],
    *,
    folder: Path,
    cache_root: Path,
    data_root: Path | None,
    settings: SourceSettings | None = None,
) -> dict[str, Any]:
    """Load a data set from its source, check it against its card, write its splits to ``folder``; return the record's
    content.

    ``evaluation_in_training`` counts examples of the evaluation split whose sentences, or record, also stand in the
    training split. ``rows_sha256`` is over every split's rows, so that two machines can compare their data.

    Raises:
        DamagedFile: the number of rows differs from the card's; the sampling rate and every privacy statement would be
            wrong.
        InvalidValue: the source does not offer the data set.
    """
    disable_progress_bar()
    own, settings = spec.get("own_data"), settings or SourceSettings()
    card = card_of(spec["dataset"], own)
    examples = load_examples(card, spec["source"], cache_root=cache_root, data_root=data_root, settings=settings)
    if own is None:
        check_sizes(card, examples)
    elif own["sha256"] != {name: examples.hash_of(name, settings.rows_key) for name in examples.splits}:
        raise DamagedFile(f"dataset = {card.name!r}: has changed since the configuration was read. Start again.")
    splits = examples.to_datasets()
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
        "records": {name: _record_facts(rows) for name, rows in splits.items()} if card.task == "table_to_text" else {},
        "one_class": _one_class(card, splits),
        "evaluation_in_training": examples.shared("train", card.evaluation_split),
        "refused": dict(examples.refused),
        "rows_sha256": {name: examples.hash_of(name) for name in examples.splits},
    }


def check_sizes(card: DatasetCard, examples: Examples) -> None:
    """Compare the number of rows with the card's; in the evaluation split, refused rows count as rows.

    Raises:
        DamagedFile: the numbers differ. Sampling rates are computed from that of the training split.
    """
    for split, expected in (("train", card.train_size), (card.evaluation_split, card.evaluation_size)):
        found = len(examples.splits[split])
        refused = examples.refused_of.get(split, 0)
        if found != expected and (split == "train" or found + refused != expected):
            raise DamagedFile(
                f"{card.name} {split} = {found} rows ({refused} more refused): must be {expected}. "
                "Certificates depend on the number of training examples. Check that the file is the published one."
            )


def _record_facts(rows: Any) -> dict[str, float]:
    """The number of distinct records and of their references."""
    counts = [len(texts) for texts in group_references(rows).values()]
    mean = round(len(rows) / len(counts), 4) if counts else 0.0
    return {"distinct": len(counts), "references_mean": mean, "references_most": max(counts, default=0)}


def _write(splits: DatasetDict, folder: Path) -> None:
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    splits.flatten_indices().save_to_disk(str(scratch))  # complete once dataset_dict.json exists
    shutil.rmtree(folder, ignore_errors=True)
    scratch.replace(folder)


def _one_class(card: DatasetCard, splits: DatasetDict) -> dict[str, str]:
    """The class of every split that holds one class only."""
    found = {
        name: [label for label, count in _label_counts(card, rows).items() if count] for name, rows in splits.items()
    }
    return {name: labels[0] for name, labels in found.items() if len(labels) == 1}


def _label_counts(card: DatasetCard, rows: Any) -> dict[str, int]:
    labels = list(rows["label"]) if "label" in rows.column_names else []
    return {name: labels.count(number) for number, name in enumerate(card.labels)}
