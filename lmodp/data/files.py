"""Read tables from files as rows of text, with one clear message for each kind of fault.

The reader never guesses and never drops a row silently. In tab-separated files,
whose publishers left damaged rows in, an unreadable row is left out and counted. In
quoted files reading stops, because one missing quote swallows the following rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from lmodp.errors import DamagedFile, MissingFile

Columns = Sequence[tuple[str, ...]]
UNEVEN = "row has another number of fields than the header"


@dataclass(frozen=True)
class Table:
    """The requested columns of a file.

    Args:
        path: of the file.
        rows: one tuple per row, one value per requested column.
        lines: line number of each row, for messages (row number in parquet files).
        refused: for each reason, the number of rows left out.
    """

    path: Path
    rows: list[tuple[Any, ...]]
    lines: list[int]
    refused: dict[str, int]


def read_tsv(path: Path, columns: Columns) -> Table:
    """Read a tab-separated file with a header; quotes are ordinary characters.

    Args:
        path: of the file.
        columns: for each column, a tuple of the names it may have.

    Raises:
        MissingFile: the file does not exist.
        DamagedFile: it is empty, has no rows, or lacks a column.
    """
    lines = (line.rstrip("\r\n").split("\t") for line in _lines(path))
    header = _header(path, next(lines, None))
    places = _places(path, header, columns)
    rows, numbers, uneven = [], [], 0
    for number, fields in enumerate(lines, start=2):
        if len(fields) == len(header):
            rows.append(tuple(fields[place] for place in places))
            numbers.append(number)
        elif fields != [""]:  # a blank line at the end is not a row
            uneven += 1
    return Table(path, _some(path, rows), numbers, {UNEVEN: uneven} if uneven else {})


def read_csv(path: Path, columns: Columns) -> Table:
    """Read a comma-separated file with a header and quoted fields.

    Raises:
        MissingFile: the file is not there.
        DamagedFile: it is empty, has no rows, lacks a column, or its quotes do not
            balance.
    """
    with _open(path, newline="") as stream:
        reader = csv.reader(stream, strict=True)
        header, rows, numbers = None, [], []
        try:
            header = _header(path, next(reader, None))
            places = _places(path, header, columns)
            for fields in reader:
                if len(fields) != len(header):
                    rule = f"has {len(fields)} fields, the header {len(header)}"
                    raise DamagedFile(f"file = {str(path)!r} line {reader.line_num}: {rule}. Check the quotes there.")
                rows.append(tuple(fields[place] for place in places))
                numbers.append(reader.line_num)
        except csv.Error as error:
            raise DamagedFile(
                f"file = {str(path)!r} line {reader.line_num}: has unbalanced quotes ({error}). "
                "Repair that row or fetch the file again."
            ) from None
        except UnicodeDecodeError:
            raise _not_text(path) from None
    return Table(path, _some(path, rows), numbers, {})


def read_parquet(path: Path, columns: Columns) -> Table:
    """Read a parquet file, the format in which a hub keeps tables.

    Raises:
        MissingFile: the file does not exist.
        DamagedFile: it is not a parquet file, has no rows, or lacks a column.
    """
    if not path.is_file():
        raise _missing(path)
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise DamagedFile(f"file = {str(path)!r}: is not a parquet file ({error}). Fetch it again.") from None
    places = _places(path, table.column_names, columns)
    rows = list(zip(*(table.column(place).to_pylist() for place in places), strict=True))
    return Table(path, _some(path, rows), list(range(1, len(rows) + 1)), {})


def read_list(path: Path) -> list[Any]:
    """Read a JSON file that contains a list.

    Raises:
        MissingFile: the file does not exist.
        DamagedFile: it is not JSON, not a list, or an empty list.
    """
    with _open(path) as stream:
        try:
            values = json.load(stream)
        except UnicodeDecodeError:
            raise _not_text(path) from None
        except ValueError as error:
            raise DamagedFile(f"file = {str(path)!r}: is not valid JSON ({error}). Fetch it again.") from None
    if not isinstance(values, list):
        raise DamagedFile(f"file = {str(path)!r}: holds a {type(values).__name__}, must hold a list of records.")
    return _some(path, values)


def _lines(path: Path) -> Iterator[str]:
    with _open(path, newline="\n") as stream:
        try:
            yield from stream
        except UnicodeDecodeError:
            raise _not_text(path) from None


def _open(path: Path, newline: str | None = None) -> Any:
    if not path.is_file():
        raise _missing(path)
    return path.open(encoding="utf-8-sig", newline=newline)


def _missing(path: Path) -> MissingFile:
    return MissingFile(
        f"file = {str(path)!r}: does not exist. Put it there, or give its path under local_files in the configuration "
        "(local_layout 'official' has the publishers' own names)."
    )


def _not_text(path: Path) -> DamagedFile:
    return DamagedFile(f"file = {str(path)!r}: is not UTF-8 text. Fetch it again.")


def _header(path: Path, header: list[str] | None) -> list[str]:
    if not header or header == [""]:
        raise DamagedFile(f"file = {str(path)!r}: is empty. Fetch it again.")
    return header


def _some(path: Path, rows: list[Any]) -> list[Any]:
    if not rows:
        raise DamagedFile(f"file = {str(path)!r}: holds no rows. Fetch it again.")
    return rows


def _places(path: Path, header: Sequence[str], columns: Columns) -> list[int]:
    """The position of each column; a column may have one of several names."""
    found = [next((header.index(name) for name in names if name in header), None) for names in columns]
    missing = [" or ".join(names) for names, place in zip(columns, found, strict=True) if place is None]
    if missing:
        raise DamagedFile(f"file = {str(path)!r}: lacks column {', '.join(missing)}; it has {', '.join(header)}.")
    return [place for place in found if place is not None]
