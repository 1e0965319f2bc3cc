"""The main tables for a terminal of 120 columns."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from lmodp.reporting.formats import as_written
from lmodp.reporting.tables.comparison import comparison_pages
from lmodp.reporting.tables.render import Page, Table

WIDTH = 120
WIDEST = 24  # of every column but the first


def comparison_text(results: Mapping[str, Any]) -> str:
    """Return the tables of all experiments with their notes."""
    return "\n\n".join(_page(page) for page in comparison_pages(as_written(results)))


def _page(page: Page) -> str:
    parts = wrap(page.title, WIDTH) + [line for text in page.before for line in wrap(text, WIDTH)]
    for table in page.tables:
        parts += ["", *wrap(table.title, WIDTH), *_table(table)]
    for index, text in enumerate(page.notes.texts, 1):
        parts += wrap(f"({index}) {text}", WIDTH, subsequent_indent="    ")
    return "\n".join(parts)


def _table(table: Table) -> list[str]:
    """The table with heads and long places broken into lines, the first column as wide as there is room."""
    columns = list(zip(table.heads, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    for number, (head, *places) in enumerate(columns[1:], 1):
        widths[number] = max(min(max(map(len, places), default=0), WIDEST), *map(len, head.split()))
    widths[0] = max(8, min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1)))
    heads, *rows = (_lines(row, widths) for row in (table.heads, *table.rows))
    return [*heads, "─" * max(len(line) for row in (heads, *rows) for line in row), *(x for row in rows for x in row)]


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row's lines, all columns but the first flush right."""
    broken = [wrap(text, width) or [""] for text, width in zip(row, widths, strict=True)]
    found = []
    for first, *others in zip_longest(*broken, fillvalue=""):
        right = [text.strip().rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        found.append("  ".join([first.ljust(widths[0]), *right]).rstrip())
    return found
