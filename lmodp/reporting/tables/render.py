"""One table, three forms: Markdown for people, LaTeX (booktabs) for papers, CSV for machines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lmodp.records.record import write_bytes

# What Markdown or a page that shows it would take for markup; an underscore inside a word is none.
_MARKDOWN = re.compile(r"[\\`*|<$~]|(?<=\])\(|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
_TEX_MATHS = {
    **{"ε": "varepsilon", "δ": "delta", "σ": "sigma", "μ": "mu", "ρ": "rho"},
    **{"±": "pm", "∞": "infty", "≤": "le", "≥": "ge", "√": "surd", "×": "times"},
}
_TEX_TEXT = {"\\": "backslash", "~": "asciitilde", "^": "asciicircum", "<": "less", ">": "greater", "|": "bar"}
_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{sign: f"$\\{name}$" for sign, name in _TEX_MATHS.items()},
    **{sign: f"\\text{name}{{}}" for sign, name in _TEX_TEXT.items()},
    **{"–": "--", "−": "$-$"},
}


class Bold(str):
    """A text that is shown in bold."""


@dataclass
class Notes:
    """The notes under a table: each reason once, numbered in order of appearance."""

    texts: list[str] = field(default_factory=list)

    def mark(self, reason: str | None) -> str:
        """Return the mark of a reason, such as ``(2)``; an empty text without a reason."""
        if not reason:
            return ""
        if reason not in self.texts:
            self.texts.append(reason)
        return f"({self.texts.index(reason) + 1})"


@dataclass(frozen=True)
class Table:
    """A table of texts, of which `Bold` ones stand out.

    Args:
        title: shown as a heading or a bold line.
        heads, rows: one text per column.
        values: the value by which each place is sorted, if that is not its text.
        links: for each row, the id of its cell, if it has one.
        sides: in text formats the side of each column, "l" or "r"; empty: the first left, the others right.
    """

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    values: Sequence[tuple[Any, ...]] | None = None
    links: Sequence[str] | None = None
    sides: str = ""


@dataclass(frozen=True)
class Page:
    """Tables that share a heading, a caption and notes."""

    title: str
    caption: str
    tables: list[Table]
    notes: Notes = field(default_factory=Notes)
    before: tuple[str, ...] = ()


def markdown(text: str) -> str:
    """Return a text for Markdown that is shown as it is written, in bold if it is `Bold`."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", text)
    return f"**{escaped}**" if isinstance(text, Bold) else escaped


def to_markdown(pages: Sequence[Page], *, title: str) -> str:
    """Return pages as one Markdown document."""
    return "\n".join([f"# {markdown(title)}\n", *(_markdown_page(page) for page in pages)])


def _markdown_page(page: Page) -> str:
    lines = [f"## {markdown(page.title)}", "", markdown(page.caption), ""]
    lines += [f"{markdown(line)}  " for line in page.before]
    for table in page.tables:
        title = [markdown(Bold(table.title)), ""] if table.title else []
        lines += ["", *title, *_markdown_table(table)]
    if page.notes.texts:
        lines += ["", *(f"({number}) {markdown(text)}  " for number, text in enumerate(page.notes.texts, 1))]
    return "\n".join(lines) + "\n"


def _markdown_table(table: Table) -> list[str]:
    rule = [":---" if side == "l" else "---:" for side in table.sides or f"l{'r' * (len(table.heads) - 1)}"]
    heads, *rows = ([markdown(text) for text in line] for line in (table.heads, *table.rows))
    return [f"| {' | '.join(line)} |" for line in (heads, rule, *rows)]


def to_latex(pages: Sequence[Page]) -> str:
    """Return pages as LaTeX tables for the package booktabs, UTF-8, no other package needed."""
    blocks = [_latex_table(page, table) for page in pages for table in page.tables]
    return "% needs \\usepackage{booktabs}\n" + "\n".join(blocks)


def _latex_table(page: Page, table: Table) -> str:
    lines = [" & ".join(tex(text) for text in row) + r" \\" for row in table.rows]
    notes = " ".join(f"({number}) {text}." for number, text in enumerate(page.notes.texts, 1))
    title = f"{page.title}. {table.title}." if table.title else f"{page.title}."
    caption = tex(" ".join(filter(None, [title, page.caption, notes])))
    before = [r"\begin{table}", r"\centering", r"\footnotesize", rf"\caption{{{caption}}}"]
    columns = rf"\begin{{tabular}}{{l{'r' * (len(table.heads) - 1)}}}"
    heads = " & ".join(tex(text) for text in table.heads) + r" \\"
    after = [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join([*before, columns, r"\toprule", heads, r"\midrule", *lines, *after])


def tex(text: str) -> str:
    """Return a text for LaTeX, in bold if it is `Bold`."""
    escaped = "".join(_TEX.get(letter, letter) for letter in text)
    return rf"\textbf{{{escaped}}}" if isinstance(text, Bold) else escaped


def write_table(name: str, pages: Sequence[Page], frame: pd.DataFrame, folder: Path, *, title: str) -> None:
    """Write one table in all three forms: pages that people read, and the same as numbers for the CSV."""
    write_bytes(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(folder / f"{name}.md", to_markdown(pages, title=title).encode())
    write_bytes(folder / f"{name}.tex", to_latex(pages).encode())
