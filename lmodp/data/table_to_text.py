"""E2E and DART: records and sentences that describe them, one example per reference sentence.

A record becomes one line, as in the literature on prefix tuning and on private fine-tuning: ``name : Blue Spice | Type
: coffee shop`` for E2E, and ``subject : relation : object | ...`` with the relation in lower case for DART.

References:
    Li and Liang (2021), arXiv:2101.00190; Li et al. (2022), arXiv:2110.05679.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.data.cards import DatasetCard
from lmodp.data.files import read_table
from lmodp.data.tables import Examples, join_splits
from lmodp.errors import DamagedFile

E2E_COLUMNS = (("mr", "meaning_representation"), ("ref", "human_reference"))
DART_COLUMNS = (("tripleset",), ("annotations",))
E2E_NAMES = {"eatType": "Type", "priceRange": "price", "familyFriendly": "family friendly"}
_SLOT = re.compile(r"\s*([^,\[\]]+)\[([^\[\]]*)\]\s*(?:,|$)")


def read_table_to_text(card: DatasetCard, files: Mapping[str, Path]) -> Examples:
    """Return E2E or DART from one file per split; empty references are left out and counted.

    Raises:
        MissingFile, DamagedFile: a file does not exist, is not readable or lacks a column, or a record is malformed or
            has no reference.
    """
    read = {"e2e": _read_e2e, "dart": _read_dart}[card.name]
    return join_splits({split: read(path) for split, path in files.items()})


def linearise_e2e(record: Any, *, place: str = "record") -> str:
    """Return ``name : The Mill | Type : pub`` for ``name[The Mill], eatType[pub]``; raise `DamagedFile` else."""
    slots, end, text = [], 0, str(record)
    for match in _SLOT.finditer(text):
        if match.start() != end:
            break
        slots.append(f"{E2E_NAMES.get(match[1].strip(), match[1].strip())} : {match[2].strip()}")
        end = match.end()
    if end != len(text) or not slots:
        raise DamagedFile(f"{place} = {text[:80]!r}: is not a list of slot[value], separated by commas.")
    return " | ".join(slots)


def linearise_dart(triples: Any, *, place: str = "record") -> str:
    """Return ``subject : relation : object | ...``, the relation in lower case; raise `DamagedFile` else."""
    if not isinstance(triples, list) or not triples or not all(map(_is_triple, triples)):
        raise DamagedFile(
            f"{place}: tripleset = {str(triples)[:80]}: must hold triples of subject, relation and object, each a "
            "list of three texts."
        )
    return " | ".join(f"{subject} : {relation.lower()} : {value}" for subject, relation, value in triples)


def _is_triple(triple: Any) -> bool:
    return isinstance(triple, list) and len(triple) == 3 and all(isinstance(part, str) for part in triple)


def group_references(rows: Any) -> dict[str, list[str]]:
    """Return all references of each distinct record of a `datasets.Dataset`, in order of first appearance.

    Where it has a column ``group``, rows of one group are references of the record that stands in its first row.
    """
    firsts: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    records = list(rows["record"])
    groups = rows["group"] if "group" in rows.column_names else records
    for group, record, text in zip(groups, records, rows["text"], strict=True):
        found.setdefault(firsts.setdefault(group, record), []).append(text)
    return found


def _read_e2e(path: Path) -> Examples:
    table = read_table(path, E2E_COLUMNS)
    pairs = [
        (linearise_e2e(record, place=f"{table.place(row)}, mr"), _reference(text, table.place(row)))
        for row, (record, text) in enumerate(table.rows)
    ]
    return _examples(pairs)


def _read_dart(path: Path) -> Examples:
    table, pairs = read_table(path, DART_COLUMNS), []
    for row, (triples, annotated) in enumerate(table.rows):
        place = table.place(row)
        texts = _annotation_texts(annotated, place)
        pairs += [(linearise_dart(triples, place=place), _reference(text, place)) for text in texts]
    return _examples(pairs)


def _annotation_texts(annotations: Any, place: str) -> list[Any]:
    """Read either format: the release has a list of objects, a hub's table has one object of lists."""
    if isinstance(annotations, list) and all(isinstance(item, dict) for item in annotations):
        annotations = {"text": [item.get("text") for item in annotations]}
    texts = annotations.get("text") if isinstance(annotations, dict) else None
    if not isinstance(texts, list) or not texts:
        raise DamagedFile(
            f"{place}: annotations = {str(annotations)[:80]}: must hold objects with a text, at least one reference. "
            "Fetch the file again."
        )
    return texts


def _reference(text: Any, place: str) -> str | None:
    if text is not None and not isinstance(text, str):
        raise DamagedFile(f"{place}: reference = {text!r}: must be a text. Fetch the file again.")
    return text


def _examples(pairs: list[tuple[str, str | None]]) -> Examples:
    kept = [(record, " ".join(text.split())) for record, text in pairs if text and text.strip()]
    refused = {"reference is empty": len(pairs) - len(kept)} if len(kept) < len(pairs) else {}
    return Examples({"record": [record for record, _ in kept], "text": [text for _, text in kept]}, {}, refused=refused)
