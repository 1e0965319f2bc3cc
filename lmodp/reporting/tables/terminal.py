"""The comparison for a terminal of 120 columns; columns that do not fit are in ``comparison.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from lmodp.reporting.formats import NOTHING, number
from lmodp.reporting.results.metrics import Metric, metrics_in
from lmodp.reporting.tables.comparison import Cell, Section, note, references, scores, sections, status, verified
from lmodp.reporting.tables.render import Notes

WIDTH = 120
TARGET = {"method": ("", "method"), "target": ("target", "ε"), "delta": ("", "δ")}
# Answers to "what is ε?" and the noise; a column without any number is left out.
ANSWERS = {
    "claimed_step": ("claimed", "ε step"),
    "claimed_run": ("claimed", "ε run"),
    "pure_scalar_step": ("scalar", "ε step"),
    "paper_bound_step": ("paper's", "ε step"),
    "paper_bound_run": ("paper's", "ε run"),
    "verified": ("verified ε, run", "[lower, upper]"),
    "noise_multiplier": ("noise", "× clip"),
    "sigma_effective": ("σ_", "effective"),
}
FIRST_TO_GO = ("pure_scalar_step", "paper_bound_step", "paper_bound_run", "sigma_effective", "noise_multiplier")
# The field of a cell that says why an answer is missing.
REASONS = {
    "claimed_step": "claimed_reason",
    "claimed_run": "claimed_reason",
    "pure_scalar_step": "pure_scalar_reason",
    "paper_bound_step": "paper_bound_reason",
    "paper_bound_run": "paper_bound_reason",
    "noise_multiplier": "noise_reason",
    "sigma_effective": "verified_reason",
}


def comparison_text(results: Mapping[str, Any]) -> str:
    """Return the tables of all experiments with their notes."""
    return "\n\n".join(_experiment(results, name) for name in results["experiments"])


def _experiment(results: Mapping[str, Any], name: str) -> str:
    notes = Notes()
    parts = wrap(f"{results['experiments'][name]['title']}; {'; '.join(references(results, name, notes))}", WIDTH)
    for section in sections(results, name):
        parts += ["", section.title, *_section(section, metrics_in(results, name), notes)]
    shown = "\n".join(parts)  # the notes of columns that did not fit are left out
    for index, text in enumerate(notes.texts, 1):
        parts += wrap(f"({index}) {text}", WIDTH, subsequent_indent="    ") if f"({index})" in shown else []
    return "\n".join(parts)


def _section(section: Section, metrics: Sequence[Metric], notes: Notes) -> list[str]:
    """The privacy answers with the main score; if there are further scores, a second table has all of them."""
    heads = {
        metric.name: (metric.title, "%" if metric.share else "(lower is better)" if metric.lower_is_better else "")
        for metric in metrics
    }
    lead = metrics[0].name
    answers = {key: head for key, head in ANSWERS.items() if any(_known(key, cell) for cell in section.cells)}
    rows = [
        {**_target(cell, notes), **_answers(cell, answers, notes), **_scores(cell, metrics, notes)}
        for cell in section.cells
    ]
    target = {key: head for key, head in TARGET.items() if key != "delta" or len(section.deltas) > 1}
    lines = _columns({**target, **answers, lead: heads[lead]}, rows)
    for key in FIRST_TO_GO:
        if max(map(len, lines)) > WIDTH:
            answers.pop(key, None)
            lines = _columns({**target, **answers, lead: heads[lead]}, rows)
    return lines if len(metrics) == 1 else [*lines, "", *_columns({**target, **heads}, rows)]


def _target(cell: Cell, notes: Notes) -> dict[str, str]:
    """Method and target; if a cell is not done, the method has the note."""
    _, reason = status(cell)
    method = f"{cell['method_title']} {notes.mark(reason)}".rstrip()
    return {"method": method, "target": f"{cell['epsilon']:g}", "delta": f"{cell['delta']:.2g}"}


def _scores(cell: Cell, metrics: Sequence[Metric], notes: Notes) -> dict[str, str]:
    """The scores; a cell that is not done has its status in the place of the main one."""
    found = scores(cell, metrics, notes)
    return {**found, cell["metric"]: cell["status"]} if found[cell["metric"]] == NOTHING else found


def _known(key: str, cell: Cell) -> bool:
    return cell["verified_lower" if key == "verified" else key] is not None


def _answers(cell: Cell, keys: Iterable[str], notes: Notes) -> dict[str, str]:
    """Return the answers of a cell; a note says why one is missing."""
    texts = {}
    for key in keys:
        if key == "verified":
            texts[key] = verified(cell, notes)
        elif cell[key] is not None:
            texts[key] = number(cell[key])
        else:
            reason = cell[REASONS[key]] or cell["reason"] or "has no finite value"
            texts[key] = f"{NOTHING} {note(reason, cell, notes)}".rstrip()
    return texts


def _columns(heads: Mapping[str, tuple[str, str]], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A table of some columns."""
    return _table(list(heads.values()), [[texts[key] for key in heads] for texts in rows])


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [[head[0] for head in heads], [head[1] for head in heads], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    texts = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return [*texts[:2], "─" * max(map(len, texts)), *texts[2:]]
