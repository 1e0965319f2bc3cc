"""The comparison for a terminal of 120 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from lmodp.reporting.formats import NOTHING
from lmodp.reporting.results.metrics import Metric, metrics_in
from lmodp.reporting.tables.comparison import SECTIONS, Section, references, sections
from lmodp.reporting.tables.render import BOLD, Notes

WIDTH = 120
HEADS = {
    "method": ("", "method"),
    "target": ("target", "ε"),
    "claimed_step": ("claimed", "ε step"),
    "claimed_run": ("claimed", "ε run"),
    "pure_scalar_step": ("scalar", "ε step"),
    "paper_bound_step": ("paper's", "ε step"),
    "paper_bound_run": ("paper's", "ε run"),
    "verified": ("verified ε, run", "[lower, upper]"),
    "noise_multiplier": ("noise", "× clip"),
    "sigma_effective": ("σ_", "effective"),
}


def comparison_text(results: Mapping[str, Any]) -> str:
    """Return the tables of all experiments with their notes, at most `WIDTH` characters wide."""
    return "\n\n".join(_experiment(results, name) for name in results["experiments"])


def _experiment(results: Mapping[str, Any], name: str) -> str:
    notes, facts = Notes(), results["experiments"][name]
    deltas = sorted({cell["delta"] for cell in results["cells"] if cell["experiment"] == name and cell["delta"]})
    head = (
        f"{facts['title']}, δ = {' and '.join(f'{delta:g}' for delta in deltas)}; "
        f"{'; '.join(references(results, name, notes))}"
    )
    parts = [*wrap(head, WIDTH)]
    for section in sections(results, name, notes):
        parts += ["", SECTIONS[section.calibration], *_section(section, metrics_in(results, name))]
    shown = "\n".join(parts)
    for index, text in enumerate(notes.texts, 1):
        parts += [] if f"({index})" not in shown else wrap(f"({index}) {text}", WIDTH, subsequent_indent="    ")
    return "\n".join(parts)


def _section(section: Section, metrics: Sequence[Metric]) -> list[str]:
    """The privacy answers with the main score; further scores follow in a second table."""
    scores = {
        metric.name: (metric.title, "%" if metric.share else "(lower is better)" if metric.lower_is_better else "")
        for metric in metrics
    }
    lead = metrics[0].name
    lines = _columns(section, {**HEADS, lead: scores[lead]})
    if len(metrics) > 1:
        lines += ["", *_columns(section, {**{key: HEADS[key] for key in ("method", "target")}, **scores})]
    return lines


def _columns(section: Section, heads: Mapping[str, tuple[str, str]]) -> list[str]:
    """A table of some columns. Empty columns of answers are left out; scores are always shown."""
    columns = [
        key
        for key in heads
        if key not in HEADS or key == "method" or any(not texts[key].startswith(NOTHING) for texts, _ in section.rows)
    ]
    return _table(
        [heads[key] for key in columns], [[_with_status(texts, key) for key in columns] for texts, _ in section.rows]
    )


def _with_status(texts: Mapping[str, str], key: str) -> str:
    """Write a status other than done beside the method; a skipped row gives its reason once."""
    texts = {name: text.replace(BOLD, "") for name, text in texts.items()}
    status, *mark = texts["status"].split(" (")
    if status != "skipped":
        return f"{texts[key]} {texts['status'].split()[-1]}" if key == "method" and status != "done" else texts[key]
    if key == "method":
        return f"{texts[key]} ({mark[0]}"
    return {"target": texts[key], "claimed_step": status}.get(key, texts[key].split(" (")[0])


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
