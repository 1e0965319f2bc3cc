"""The stage make_table: the comparison as CSV for machines and as Markdown for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lmodp.records import write_bytes
from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.comparison import HEADS, SECTIONS, Notes, references, sections

CSV_COLUMNS = (
    "experiment", "method", "calibration", "epsilon", "delta", "claimed_step", "claimed_run", "pure_scalar_step",
    "theorem_step", "theorem_run", "verified_lower", "verified_limit", "verified_upper", "noise_std", "sigma_effective",
    "efficiency", "runs_done", "accuracy", "accuracy_spread", "majority_accuracy", "nonprivate_accuracy", "status", "reason",
    "claimed_reason", "theorem_reason", "verified_reason", "noise_reason", "cell", "mechanism",
)  # fmt: skip


def make_table(results: Mapping[str, Any], *, csv: Path, markdown: Path) -> dict[str, Any]:
    """Write the comparison table and return its dimensions.

    Args:
        results: content of ``results.json``.
        csv, markdown: files to write.
    """
    frame = pd.DataFrame(results["cells"])
    majority = {name: facts["majority_accuracy"] for name, facts in results["experiments"].items()}
    frame["majority_accuracy"] = frame["experiment"].map(majority)
    write_bytes(csv, frame.reindex(columns=list(CSV_COLUMNS)).to_csv(index=False, lineterminator="\n").encode())
    write_bytes(markdown, comparison_markdown(results).encode())
    return {"rows": len(frame), "columns": list(CSV_COLUMNS)}


def comparison_markdown(results: Mapping[str, Any], *, heading: str = "##") -> str:
    """Return the comparison as Markdown, a section an experiment."""
    parts = [f"{heading[:-1] or '#'} {results['title'] or results['grid']}\n"]
    for name, facts in results["experiments"].items():
        parts.append(f"{heading} {facts['title']}\n\n{experiment_markdown(results, name)}")
    return "\n".join(parts)


def experiment_markdown(results: Mapping[str, Any], experiment: str) -> str:
    """Return one experiment's caption, tables and notes as Markdown."""
    notes = Notes()
    lines = [experiment_caption(results, experiment), ""]
    lines += [f"{name} accuracy: {text} %  " for name, text in references(results, experiment).items()]
    for section in sections(results, experiment, notes):
        rows = [list(texts.values()) for texts, _ in section.rows]
        lines += ["", f"**Noise {SECTIONS[section.calibration]}**", "", *markdown_table(list(HEADS.values()), rows)]
    if notes.texts:
        lines += ["", *(f"({number}) {text}  " for number, text in enumerate(notes.texts, 1))]
    return "\n".join(lines) + "\n"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table: text left, the rest right."""
    rule = [":---" if number == 0 else "---:" for number in range(len(heads))]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (heads, rule, *rows)]
