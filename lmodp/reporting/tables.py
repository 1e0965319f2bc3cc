"""The stage make_table: comparison, privacy and status, each as CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmodp.reporting.comparison import comparison_pages
from lmodp.reporting.privacy_table import privacy_frame, privacy_pages
from lmodp.reporting.render import Notes, Page, Table, write_table

COMPARISON = (
    "experiment", "method", "calibration", "epsilon", "delta", "setting", "claimed_step", "claimed_run", "pure_scalar_step",
    "theorem_step", "theorem_run", "verified_lower", "verified_limit", "verified_upper", "noise_std", "sigma_effective",
    "efficiency", "runs_done", "accuracy", "accuracy_spread", "majority_accuracy", "nonprivate_accuracy", "status", "reason",
    "claimed_reason", "pure_scalar_reason", "theorem_reason", "verified_reason", "noise_reason", "cell", "mechanism",
)  # fmt: skip
STATUS = ("cell", "experiment", "method", "calibration", "epsilon", "delta", "status", "runs_done", "repetitions", "reason")


def make_table(results: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the tables that follow from ``results.json`` and return their sizes.

    Args:
        results: content of ``results.json``.
        folder: where to write; `table_files` says what.
    """
    sizes = {}
    for name, (title, pages, frame) in TABLES.items():
        content = frame(results)
        write_table(pages(results), title=f"{title}: {results['title'] or results['grid']}", frame=content, files=table_files(folder, name))
        sizes[name] = {"rows": len(content), "columns": list(content.columns)}
    return {"tables": sizes}


def table_files(folder: Path, name: str) -> dict[str, Path]:
    """Return the files of one table by form."""
    return {form: folder / f"{name}.{form}" for form in ("csv", "md", "tex")}


def comparison_frame(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return the comparison as numbers, one row a cell."""
    frame = pd.DataFrame(results["cells"])
    majority = {name: facts["majority_accuracy"] for name, facts in results["experiments"].items()}
    return frame.assign(majority_accuracy=frame["experiment"].map(majority)).reindex(columns=list(COMPARISON))


def status_pages(results: Mapping[str, Any]) -> list[Page]:
    """Return every cell's status, with the reason in the row."""
    rows = [(cell["cell"], cell["status"], f"{cell['runs_done']} of {cell['repetitions']}", cell["reason"] or cell["runs_reason"] or "")
            for cell in results["cells"]]
    caption = "Every cell of the grid, computed or not, and why not. Runs are those with a score after a conformance check."
    table = Table("", ("cell", "status", "runs", "reason"), rows, links=[cell["cell"] for cell in results["cells"]])
    return [Page("Status of every cell", caption, [table], Notes())]


def status_frame(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return every cell's status as plain columns."""
    return pd.DataFrame(results["cells"]).reindex(columns=list(STATUS))


_Pages = Callable[[Mapping[str, Any]], list[Page]]
_Frame = Callable[[Mapping[str, Any]], pd.DataFrame]
TABLES: dict[str, tuple[str, _Pages, _Frame]] = {
    "comparison": ("Utility at equal claimed and at equal verified ε", comparison_pages, comparison_frame),
    "privacy": ("What is ε? Every answer for every mechanism", privacy_pages, privacy_frame),
    "status": ("Status", status_pages, status_frame),
}
