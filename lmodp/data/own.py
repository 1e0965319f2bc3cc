"""A data set of the user's own: tables with named columns, from files or from a repository of a hub.

What is known of such a set is counted when the configuration is read: the number of training examples N, the class
names, and a SHA-256 over the rows of every part. These enter the ids of all that is made from it (`identity_of`), so
neither the files' names nor their format do. What cannot be read for certain is refused with file, line and remedy.
"""

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from lmodp.data.files import HIDDEN, Table, read_table
from lmodp.data.locks import HubEntry
from lmodp.data.source_settings import EVALUATION, OwnDataset, placed
from lmodp.data.tables import Examples
from lmodp.errors import DamagedFile, InvalidValue

_WHOLE = re.compile(r"([-+]?\d+)\.0+")
Place = tuple[Table, int]  # a table and the number of a row
_NUMBER = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")


def load_own(own: OwnDataset, *, cache_root: Path, data_root: Path | None) -> Examples:
    """Return the examples of a data set of the user's own, in its parts.

    Raises:
        MissingFile, DamagedFile: a file does not exist or is not a table, a row cannot be read for certain, the
            labels are no classes, or a part is empty.
        LmodpError: a repository cannot be fetched, see `hub_files`.
    """
    tables = {part: _read(own, path) for part, path in _paths(own, cache_root, data_root).items()}
    columns: dict[str, list[Any]] = {
        name: [value for table in tables.values() for value in _values(table, number, name, column)]
        for number, (name, column) in enumerate(own.columns.items())
    }
    places = [(table, row) for table in tables.values() for row in range(len(table.rows))]
    splits = _split(own, {part: len(table.rows) for part, table in tables.items()}, columns)
    if "label" in columns:
        classes = _classes(columns["label"], splits, places)
        columns["label"] = [classes.index(label) for label in columns["label"]]
        return Examples(columns, splits, labels=classes)
    return Examples(columns, splits)


def identity_of(own: OwnDataset, examples: Examples, key: bytes | None = None) -> dict[str, Any]:
    """Return what a data set of the user's own is, whatever path led to it; see `lmodp.data.cards.card_of`.

    ``key`` is from `rows_key`, for a release: a plain hash of the rows would tell whether somebody's guess of them is
    right, which no certificate covers.
    """
    return {
        "task": own.task,
        "train_size": len(examples.splits["train"]),
        "evaluation_split": EVALUATION,
        "evaluation_size": len(examples.splits[EVALUATION]),
        "labels": list(examples.labels),
        "sha256": {part: examples.hash_of(part, key) for part in examples.splits},
    }


def rows_key(cache_root: Path) -> bytes:
    """Return the secret of this cache, 32 bytes in ``private/rows.key``; it is made when it is first needed."""
    path = cache_root / "private" / "rows.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        with tempfile.NamedTemporaryFile(dir=path.parent) as file, suppress(FileExistsError):
            file.write(secrets.token_bytes(32))
            file.flush()
            os.link(file.name, path)  # of two processes the first one's stays
    key = path.read_bytes()
    if len(key) != 32:
        raise DamagedFile(f"file = {str(path)!r}: has {len(key)} bytes, must have 32. Delete it; results get new ids.")
    return key


def _paths(own: OwnDataset, cache_root: Path, data_root: Path | None) -> dict[str, Path]:
    if own.repository is None:
        return {part: placed(path, data_root) for part, path in own.files.items()}
    from lmodp.data.hub import hub_files  # the hub's client, which local files do not need

    entry = HubEntry(kind="dataset", name=own.name, repository=own.repository, revision=own.revision, files=own.files)
    root = hub_files(entry, cache_root=cache_root)
    return {part: root / path for part, path in own.files.items()}


def _read(own: OwnDataset, path: Path) -> Table:
    table = read_table(path, [(column,) for column in own.columns.values()])
    for reason, count in table.refused.items():
        (line,) = table.left_out
        raise DamagedFile(f"file = {str(path)!r} line {line}: {reason} ({count} such rows). Repair it, or save as CSV.")
    return table


def _values(table: Table, number: int, name: str, column: str) -> list[str]:
    """A column's values: texts, class names or groups."""
    if name in ("label", "group"):
        return [_name(row[number], (table, place), column) for place, row in enumerate(table.rows)]
    texts = [" ".join(text.split()) if name == "text" else text.strip() for text in table.texts(number, column)]
    blank = [place for place, text in enumerate(texts) if not text]
    if blank:
        more = f" ({len(blank) - 1} more rows have none either)" if len(blank) > 1 else ""
        raise DamagedFile(f"{table.place(blank[0])}, {column} = '': has no text{more}. Remove such rows.")
    if not any(letter.isalpha() for text in texts for letter in text):
        raise DamagedFile(
            f"file = {str(table.path)!r}, {column} = {texts[0][:40]!r}, ...: has no letter in any row. Name the column "
            "that holds the text."
        )
    return texts


def _name(value: Any, place: Place, column: str) -> str:
    """The name of a class or a group: 1, 1.0 and "1" are one."""
    text = str(value).strip() if value is not None else ""
    if text.lower() in ("", "nan"):
        raise DamagedFile(f"{_at(place)}, {column} = {value!r}: has no value. Fill it in or remove that row.")
    if isinstance(value, bool):
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    if whole is None and _NUMBER.fullmatch(text):
        raise DamagedFile(
            f"{_at(place)}, {column} = {value!r}: is no class. Classes are names or whole numbers; make some of these."
        )
    return whole[1] if whole else text


def _split(own: OwnDataset, sizes: Mapping[str, int], columns: Mapping[str, list[Any]]) -> dict[str, list[int]]:
    """Row numbers of each part; parts without a file take rows of the training file."""
    splits, start = {}, 0
    for part, size in sizes.items():
        splits[part] = list(range(start, start + size))
        start += size
    if not own.shares:
        return splits
    names = ["group"] if "group" in columns else ["record", "sentence", "sentence2"]
    inputs = [columns[name] for name in names if name in columns]
    texts = ["\0".join(values) for values in zip(*inputs, strict=True)]
    parts = split_off([texts[row] for row in splits["train"]], shares=own.shares, rest="train", seed=own.seed)
    for part, rows in parts.items():
        taken = [splits["train"][row] for row in rows]
        if not taken:
            raise InvalidValue(
                f"datasets.{own.name}.split_off = {dict(own.shares)}: leaves the part {part} without an example. Give "
                "it a file or a larger share."
            )
        parts[part] = taken
    return {**splits, **parts}


def split_off(texts: Sequence[str], *, shares: Mapping[str, float], rest: str, seed: int) -> dict[str, list[int]]:
    """Return ascending row numbers by split: each takes about its share of the rows, and ``rest`` the others.

    A hash of the text and the seed decides the split of a row, whatever other rows there are. So copies of a text are
    in the same split, and one row more or less changes no other row's split.
    """
    splits: dict[str, list[int]] = {name: [] for name in [*shares, rest]}
    ends = dict(zip(shares, accumulate(shares.values()), strict=True))
    for row, text in enumerate(texts):
        place = int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode()).digest()[:8]) / 2**64  # in [0, 1)
        splits[next((name for name, end in ends.items() if place < end), rest)].append(row)
    return splits


def _classes(labels: Sequence[str], splits: Mapping[str, list[int]], places: Sequence[Place]) -> tuple[str, ...]:
    """The class names of the training part, numbers in their order, names in that of the alphabet."""
    first = {labels[row]: row for row in reversed(splits["train"])}
    alike: dict[str | float, str] = {}
    for name in sorted(first):
        other = alike.setdefault(_likeness(name), name)
        if other != name:
            both = f"label = {name!r} beside {other!r} ({_at(places[first[other]])})"
            raise DamagedFile(
                f"{_at(places[first[name]])}, {both}: two classes are named alike. Write them in one way."
            )
    for part, rows in splits.items():
        for row in rows:
            if labels[row] not in first:
                hint = HIDDEN if labels[row] == "-1" else " Correct it, or move such rows into the training part."
                rule = f"does not occur in the training part, {part} alone has it"
                raise DamagedFile(f"{_at(places[row])}, label = {labels[row]!r}: {rule}.{hint}")
    if len(first) < 2:
        row = splits["train"][0]
        raise DamagedFile(
            f"{_at(places[row])}, label = {labels[row]!r}: is the only class. Name the column of the classes."
        )
    whole = all(re.fullmatch(r"[-+]?\d+", name) for name in first)
    return tuple(sorted(first, key=int if whole else str))


def _at(place: Place) -> str:
    """The file and line of a row; written only for a message, since there are many rows."""
    table, row = place
    return table.place(row)


def _likeness(name: str) -> str | float:
    return float(name) if re.fullmatch(r"[-+]?\d+", name) else " ".join(name.split()).casefold()
