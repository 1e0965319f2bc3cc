"""Read tables from files as rows of text, with one clear message for each kind of fault.

The reader never guesses and never drops a row silently. In tab-separated files, whose publishers left damaged
rows in and write quotation marks as they are, an unreadable row is left out and counted. In quoted files reading
stops, because one missing quote swallows the following rows. The end of a file's name says what it is
(`READERS`); ``.gz`` behind it says that it is compressed.
"""

import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmodp.errors import DamagedFile, MissingFile, parse_json

Columns = Sequence[tuple[str, ...]]
UNEVEN = "row has another number of fields than the header"
HIDDEN = " A hub writes -1 where it hides the labels of a test split. Use a split whose labels are public."
SEPARATORS = (",", ";", "\t")
_TOLD = re.compile(r"sep=([^\r\n])\r?\n")  # a spreadsheet's first line
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Table:
    """The requested columns of a file: one tuple per row, one value per requested column.

    ``lines`` has the number of each row's line, or of another ``unit``; ``refused`` the number of rows left out for
    each reason, and ``left_out`` the line of the first.
    """

    path: Path
    rows: list[tuple[Any, ...]]
    lines: list[int]
    refused: dict[str, int]
    unit: str = "line"
    left_out: tuple[int, ...] = ()

    def place(self, row: int) -> str:
        """Return where a row stands, for messages."""
        return f"file = {str(self.path)!r} {self.unit} {self.lines[row]}"

    def texts(self, column: int, name: str) -> list[str]:
        """Return the texts of a requested column; raise `DamagedFile` if a value is missing or is no text."""
        values = [row[column] for row in self.rows]
        for number, value in enumerate(values):
            if not isinstance(value, str):
                raise DamagedFile(
                    f"{self.place(number)}, {name} = {value!r}: must be a text. Correct or remove that row."
                )
        try:
            "".join(values).encode()
        except UnicodeEncodeError:  # JSON can write half a character
            number = next(place for place, text in enumerate(values) if text != text.encode(errors="replace").decode())
            raise DamagedFile(f"{self.place(number)}, {name}: has half a character. Correct that row.") from None
        return values


def read_table(path: Path, columns: Columns) -> Table:
    """Read a table in the format that the end of its name says, a tab-separated file's where none of `READERS` fits.

    A column may have one of several names.

    Raises:
        MissingFile: the file does not exist.
        DamagedFile: it is empty, has no rows, is not what its name says, lacks a column, or has a column twice.
    """
    return READERS.get(Path(path.name.removesuffix(".gz")).suffix.lower(), read_tsv)(path, columns)


def read_tsv(path: Path, columns: Columns) -> Table:
    """Read a tab-separated file with a header; quotation marks are ordinary characters.

    If all of them are those of CSV, so that the texts would be read with them, this raises `DamagedFile`.
    """
    lines = enumerate(_text(path).split("\n"), start=1)
    header = _header(path, next(lines)[1].rstrip("\r").split("\t"))
    places = _places(path, header, columns)
    rows, numbers, uneven, quoted, bare = [], [], [], 0, False
    for number, line in lines:
        fields = line.rstrip("\r").split("\t")
        if len(fields) == len(header):
            rows.append(tuple(fields[place] for place in places))
            numbers.append(number)
        elif fields != [""]:  # a blank line at the end is not a row
            uneven.append(number)
        for field in fields if '"' in line else ():
            quoted, bare = (quoted or number, bare) if _QUOTED.fullmatch(field) else (quoted, bare or '"' in field)
    if quoted and not bare:
        raise DamagedFile(
            f"file = {str(path)!r} line {quoted}: is quoted as in CSV; in a tab-separated file quotation marks are "
            "ordinary characters. Give it a name that ends in .csv (tabs may stay), or save it without quoting."
        )
    return Table(path, _some(path, rows), numbers, {UNEVEN: len(uneven)} if uneven else {}, left_out=tuple(uneven[:1]))


def read_csv(path: Path, columns: Columns) -> Table:
    """Read a file with a header and quoted fields, separated by commas, semicolons or tabs.

    The separator is the one that yields the requested columns, or that a first line such as ``sep=;`` names.
    """
    text = _text(path)
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a text may be longer than the module's 131,072 characters
    told = _TOLD.match(text)
    text, before = text[told.end() if told else 0 :], 1 if told else 0
    separator = told[1] if told else _separator(text, columns)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    rows, numbers = [], []
    try:
        header = _header(path, next(reader, None))
        places = _places(path, header, columns)
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                rule = f"has {len(fields)} fields, the header {len(header)}"
                line = before + reader.line_num
                raise DamagedFile(f"file = {str(path)!r} line {line}: {rule}. Check the quotes there.")
            rows.append(tuple(fields[place] for place in places))
            numbers.append(before + reader.line_num)
    except csv.Error as error:
        raise DamagedFile(
            f"file = {str(path)!r} line {before + reader.line_num}: has unbalanced quotes ({error}). "
            "Repair that row or fetch the file again."
        ) from None
    return Table(path, _some(path, rows), numbers, {})


def read_parquet(path: Path, columns: Columns) -> Table:
    """Read a parquet file, the format in which a hub keeps tables."""
    import pyarrow  # the other formats need none of it
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(_bytes(path))).read()
    except pyarrow.ArrowInvalid as error:
        raise DamagedFile(
            f"file = {str(path)!r}: is not a parquet file ({error}). Repair it or fetch it again."
        ) from None
    places = _places(path, table.column_names, columns)
    rows = list(zip(*(table.column(place).to_pylist() for place in places), strict=True))
    return Table(path, _some(path, rows), list(range(1, len(rows) + 1)), {}, "row")


def read_json(path: Path, columns: Columns) -> Table:
    """Read JSON objects: one per line, or a list of them."""
    text = _text(path)
    if text.lstrip().startswith("["):
        unit, items = "record", list(enumerate(_parsed(text, f"file = {str(path)!r}"), start=1))
    else:
        lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
        unit = "line"
        items = [(number, _parsed(line, f"file = {str(path)!r} line {number}")) for number, line in lines]
    rows = []
    for number, item in items:
        if not isinstance(item, dict):
            place = f"file = {str(path)!r} {unit} {number}"
            raise DamagedFile(f"{place} = {str(item)[:80]}: must be a JSON object, whose keys are the columns.")
        names = list(item)
        rows.append(tuple(item[names[place]] for place in _places(path, names, columns, place=f" {unit} {number}")))
    return Table(path, _some(path, rows), [number for number, _ in items], {}, unit)


READERS: dict[str, Callable[[Path, Columns], Table]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".jsonl": read_json,
    ".json": read_json,
}


def _bytes(path: Path) -> bytes:
    """The content of a file, decompressed where its name ends in ``.gz``."""
    if not path.is_file():
        raise MissingFile(
            f"file = {str(path)!r}: does not exist. Put it there, or correct its path in the configuration (files of "
            "your own data set; local_files of a known one, whose publishers' own names are local_layout 'official')."
        )
    data = path.read_bytes()
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedFile(
            f"file = {str(path)!r}: is not a whole gzip file ({error}). Repair it or fetch it again."
        ) from None


def _text(path: Path) -> str:
    data = _bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DamagedFile(
            f"file = {str(path)!r} line {line}: is not UTF-8 text. Save it in the encoding UTF-8 (a spreadsheet calls "
            "it 'CSV UTF-8')."
        ) from None


def _separator(text: str, columns: Columns) -> str:
    """The separator that yields most of the requested columns in the first line, and most columns at all."""
    first = re.split("[\r\n]", text, maxsplit=1)[0]

    def yielded(separator: str) -> tuple[int, int]:
        header = {name.strip() for name in next(csv.reader([first], delimiter=separator), [])}
        wanted = sum(1 for names in columns if header.intersection(names))
        return wanted, 0 if wanted == len(columns) else len(header)

    return max(SEPARATORS, key=yielded)


def _parsed(text: str, place: str) -> Any:
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{place}: is not valid JSON ({error}). Repair it or fetch the file again.") from None


def _header(path: Path, header: list[str] | None) -> list[str]:
    if not header or header == [""]:
        raise DamagedFile(f"file = {str(path)!r}: is empty. Repair it or fetch it again.")
    return header


def _some(path: Path, rows: list[Any]) -> list[Any]:
    if not rows:
        raise DamagedFile(f"file = {str(path)!r}: holds no rows. Repair it or fetch it again.")
    return rows


def _places(path: Path, header: Sequence[str], columns: Columns, *, place: str = "") -> list[int]:
    """The position of each column; a column may have one of several names."""
    header = [name.strip() for name in header]
    found = [next((name for name in names if name in header), None) for names in columns]
    missing = [" or ".join(names) for names, name in zip(columns, found, strict=True) if name is None]
    if missing:
        wanted = ", ".join(missing)
        hint = " Its fields must be separated by tabs, or its name must end in .csv." if _other_form(header) else ""
        raise DamagedFile(f"file = {str(path)!r}{place}: lacks column {wanted}; it has {', '.join(header)}.{hint}")
    twice = sorted({name for name in found if name is not None and header.count(name) > 1})
    if twice:
        raise DamagedFile(
            f"file = {str(path)!r}{place}: has the column {', '.join(twice)} more than once. Rename or remove one."
        )
    return [header.index(name) for name in found if name is not None]


def _other_form(header: Sequence[str]) -> bool:
    """Whether a header is one field that holds separators of another form."""
    return len(header) == 1 and any(separator in header[0] for separator in SEPARATORS)
