"""The main table: one row per cell, with its scores and every answer to "what is epsilon?".

If a number is missing, a numbered note under the table gives the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.formats import NOTHING, interval, number
from lmodp.reporting.page.answer import STANDARD
from lmodp.reporting.results.metrics import METRICS, NO_SCORE, Metric, leading_metric, metrics_in, nonprivate_cell
from lmodp.reporting.results.paired import FEWEST_SEEDS, best_cells
from lmodp.reporting.tables.render import BOLD, Notes, Page, Table

Cell = Mapping[str, Any]
TARGET_HEADS = {"method": "method", "target": "target ε", "delta": "δ"}
PRIVACY_HEADS = {
    "claimed_step": "claimed ε, step",
    "claimed_run": "claimed ε, run",
    "pure_scalar_step": "pure scalar ε, step",
    "paper_bound_step": "paper's bound ε, step",
    "paper_bound_run": "paper's bound ε, run",
    "verified": "verified ε, run [lower, upper]",
    "noise_multiplier": "noise multiplier",
    "sigma_effective": "σ_effective",
}
SECTIONS = {
    "claimed": "at equal claimed ε of one step (as published)",
    "verified": "at equal verified ε of the whole run",
}


@dataclass(frozen=True)
class Section:
    """Rows of one experiment under one calibration: for each row, its texts by column and its cell."""

    calibration: str
    rows: list[tuple[dict[str, str], Cell]]


def sections(results: Mapping[str, Any], experiment: str, notes: Notes) -> list[Section]:
    """Return an experiment's rows by calibration; rows of one target are neighbours."""
    cells = [cell for cell in results["cells"] if cell["experiment"] == experiment and cell["calibration"] is not None]
    best = best_cells(results["cells"], results["comparisons"])
    found = []
    for calibration in SECTIONS:
        rows = sorted(
            (cell for cell in cells if cell["calibration"] == calibration),
            key=lambda cell: (cell["delta"], cell["epsilon"]),
        )
        if rows:
            found.append(Section(calibration, [(_texts(cell, notes, results, best), cell) for cell in rows]))
    return found


def comparison_pages(results: Mapping[str, Any]) -> list[Page]:
    """Return the comparison: one page per experiment, one table per calibration."""
    return [_page(results, name) for name in results["experiments"]]


def _page(results: Mapping[str, Any], name: str) -> Page:
    notes = Notes()
    heads = heads_of(results, name)
    before = tuple(references(results, name, notes))
    tables = [
        Table(
            title=f"Noise {SECTIONS[section.calibration]}",
            heads=tuple(heads.values()),
            rows=[tuple(texts.values()) for texts, _ in section.rows],
            values=[tuple(_value(key, cell) for key in heads) for _, cell in section.rows],
            links=[cell["cell"] for _, cell in section.rows],
        )
        for section in sections(results, name, notes)
    ]
    return Page(results["experiments"][name]["title"], experiment_caption(results, name), tables, notes, before)


def heads_of(results: Mapping[str, Any], experiment: str) -> dict[str, str]:
    """Return the heads of an experiment's columns: target, scores, difference in the main score, privacy, status.

    Scores come first, so that a narrow window shows them.
    """
    standard = results["methods"].get(STANDARD, {"title": "the standard"})["title"]
    scores = {metric.name: metric.head() for metric in metrics_in(results, experiment)}
    paired = f"difference from {standard}, {leading_metric(results, experiment).unit} [95 %]"
    return {**TARGET_HEADS, **scores, "paired": paired, **PRIVACY_HEADS, "status": "status"}


def _value(key: str, cell: Cell) -> Any:
    """The value by which a place is sorted."""
    if key in cell["scores"]:
        return cell["scores"][key]["mean"]
    other = {"target": "epsilon", "verified": "verified_upper"}
    return None if key in {"method", "paired"} else cell.get(other.get(key, key))


def references(results: Mapping[str, Any], experiment: str, notes: Notes) -> list[str]:
    """Return the reference scores: the majority class's accuracy, and the non-private scores."""
    majority, plain = results["experiments"][experiment]["majority_accuracy"], nonprivate_cell(results, experiment)
    accuracy = METRICS["accuracy"]
    found = [] if majority is None else [f"majority class: {accuracy.title} {accuracy.text(majority)}{accuracy.sign}"]
    if plain is None:
        return [*found, f"non-private: {NOTHING} (not among its methods)"]
    if plain["status"] != "done":
        return [*found, f"non-private: {NOTHING} ({plain['status']}: {plain['reason']})"]
    scores = (
        f"{metric.title} {_score(metric, plain, notes)}{metric.sign}" for metric in metrics_in(results, experiment)
    )
    return [*found, f"non-private: {', '.join(scores)}"]


def _texts(cell: Cell, notes: Notes, results: Mapping[str, Any], best: set[str]) -> dict[str, str]:
    """Return a cell's row as texts, by the keys of `heads_of`."""
    scores = {metric.name: _score(metric, cell, notes) for metric in metrics_in(results, cell["experiment"])}
    if cell["cell"] in best:
        scores[cell["metric"]] = f"{BOLD}{scores[cell['metric']]}{BOLD}"
    return {
        "method": cell["method_title"],
        "target": f"{cell['epsilon']:g}",
        "delta": f"{cell['delta']:g}",
        **scores,
        "paired": _paired(cell, results, notes),
        **_privacy_texts(cell, notes),
        "status": _status(cell, notes),
    }


def _privacy_texts(cell: Cell, notes: Notes) -> dict[str, str]:
    other = cell["reason"] or "has no finite value"
    why = {
        "claimed_step": cell["claimed_reason"],
        "claimed_run": cell["claimed_reason"],
        "pure_scalar_step": cell["pure_scalar_reason"],
        "paper_bound_step": cell["paper_bound_reason"],
        "paper_bound_run": cell["paper_bound_reason"],
    }
    texts = {name: _number(cell[name], reason or other, notes) for name, reason in why.items()}
    verified = interval(cell["verified_lower"], cell["verified_upper"])
    if cell["verified_upper"] is None:
        verified = f"{verified} {notes.mark(cell['verified_reason'] or other)}"
    return {
        **texts,
        "verified": verified,
        "noise_multiplier": _number(cell["noise_multiplier"], cell["noise_reason"] or other, notes),
        "sigma_effective": _number(cell["sigma_effective"], cell["verified_reason"] or other, notes),
    }


def _number(value: float | None, reason: str, notes: Notes) -> str:
    return number(value) if value is not None else f"{NOTHING} {notes.mark(reason)}"


def _score(metric: Metric, cell: Cell, notes: Notes) -> str:
    score = cell["scores"][metric.name]
    reason = score["reason"] or (None if score["values"] else cell["reason"] or NO_SCORE)
    return f"{metric.mean_and_spread(score)} {notes.mark(reason)}".rstrip()


def _paired(cell: Cell, results: Mapping[str, Any], notes: Notes) -> str:
    """The paired difference to the Gaussian at the same target."""
    if cell["method"] == STANDARD:
        return NOTHING
    item = next(
        (item for item in results["comparisons"] if item["cell"] == cell["cell"] and item["against"] == STANDARD), None
    )
    if item is None or item["difference"] is None:
        return f"{NOTHING} {notes.mark(cell['reason'] or 'no run of the other method to compare with')}"
    difference = METRICS[cell["metric"]].difference
    text = difference(item["difference"])
    if item["lower"] is None:
        return f"{text} {notes.mark(f'fewer than {FEWEST_SEEDS} seeds: no interval, and no significance is claimed')}"
    return f"{text} [{difference(item['lower'])}, {difference(item['upper'])}]"


def _status(cell: Cell, notes: Notes) -> str:
    if cell["status"] != "done":
        return f"{cell['status']} {notes.mark(cell['reason'])}"
    if cell["runs_done"] < cell["repetitions"]:
        return (
            f"{cell['runs_done']} of {cell['repetitions']} runs "
            f"{notes.mark(cell['runs_reason'] or 'not every run has a score')}"
        )
    return "done"
