"""The stage make_table: comparison, privacy and status, each as CSV, Markdown and LaTeX."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmodp.reporting.formats import as_written
from lmodp.reporting.results.metrics import METRICS, at_chance, leading_score, missing_scores, reference_cell
from lmodp.reporting.tables.comparison import comparison_pages
from lmodp.reporting.tables.privacy import privacy_frame, privacy_pages
from lmodp.reporting.tables.render import Notes, Page, Table, write_table

BEFORE_SCORES = tuple(
    """
    experiment method calibration epsilon delta setting claimed_step claimed_run pure_scalar_step
    paper_bound_step paper_bound_run verified_lower verified_limit verified_upper noise_multiplier
    sigma_effective efficiency learning_rate clip_norm runs_done metric
    """.split()
)
AFTER_SCORES = tuple(
    """
    majority_accuracy at_chance nonprivate missing_scores status reason claimed_reason pure_scalar_reason
    paper_bound_reason verified_reason noise_reason cell mechanism
    """.split()
)
OF_STATUS = "cell experiment method calibration epsilon delta status runs_done repetitions reason missing_scores"


def make_table(results: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the tables that follow from ``results.json`` into a folder and return their sizes."""
    sizes, results = {}, as_written(results)
    for name, (title, pages, frame) in TABLES.items():
        content, title = frame(results), f"{title}: {results['title'] or results['grid']}"
        write_table(name, pages(results), content, folder, title=title)
        sizes[name] = {"rows": len(content), "columns": list(content.columns)}
    return {"tables": sizes}


def comparison_frame(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return the comparison as numbers, one row per cell; accuracy and F1 are shares of 1.

    ``nonprivate`` is the non-private score in the row's main ``metric``.
    """
    scores = [name for name in METRICS if any(name in facts["metrics"] for facts in results["experiments"].values())]
    columns = [*BEFORE_SCORES, *(f"{name}{part}" for name in scores for part in ("", "_spread")), *AFTER_SCORES]
    plain = {name: reference_cell(results, name) for name in results["experiments"]}
    rows = [_numbers(cell, plain[cell["experiment"]], results) for cell in results["cells"]]
    return pd.DataFrame(rows).reindex(columns=columns)


def _numbers(cell: Mapping[str, Any], plain: Mapping[str, Any] | None, results: Mapping[str, Any]) -> dict[str, Any]:
    scores = {
        f"{name}{part}": score[key]
        for name, score in cell["scores"].items()
        for part, key in (("", "mean"), ("_spread", "spread"))
    }
    return {
        **cell,
        **scores,
        "majority_accuracy": results["experiments"][cell["experiment"]]["majority_accuracy"],
        "at_chance": at_chance(results, cell),
        "nonprivate": leading_score(plain)["mean"] if plain else None,
        "missing_scores": missing_scores(cell) or None,
    }


def status_pages(results: Mapping[str, Any]) -> list[Page]:
    """Return every cell's status, with the reason in the row."""
    cells, rows = results["cells"], []
    for cell in cells:
        reason = cell["reason"] or "; ".join(filter(None, (cell["runs_reason"], missing_scores(cell))))
        rows.append((cell["cell"], cell["status"], f"{cell['runs_done']} of {cell['repetitions']}", reason))
    caption = (
        "Every cell of the grid; if it was not computed, the reason. Runs: those that have a score after the check "
        "against their certificate."
    )
    table = Table("", ("cell", "status", "runs", "reason"), rows, links=[cell["cell"] for cell in cells])
    return [Page("Status of every cell", caption, [table], Notes())]


def status_frame(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return every cell's status as plain columns."""
    rows = [{**cell, "missing_scores": missing_scores(cell) or None} for cell in results["cells"]]
    return pd.DataFrame(rows).reindex(columns=OF_STATUS.split())


_Pages = Callable[[Mapping[str, Any]], list[Page]]
_Frame = Callable[[Mapping[str, Any]], pd.DataFrame]
TABLES: dict[str, tuple[str, _Pages, _Frame]] = {
    "comparison": ("Utility at equal claimed and at equal verified ε", comparison_pages, comparison_frame),
    "privacy": ("What is ε? Every answer for every mechanism", privacy_pages, privacy_frame),
    "status": ("Status", status_pages, status_frame),
}
