"""The main table: one row per cell, with its scores, its verified ε and its status.

If a number is missing, a numbered note under the table gives the reason; the reason
of a whole row stands once, at its status. All other answers to "what is ε?" are in the
privacy table and in ``comparison.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.formats import NOTHING, interval
from lmodp.reporting.results.metrics import METRICS, NO_SCORE, Metric, leading_metric, metrics_in, nonprivate_cell
from lmodp.reporting.results.paired import FEWEST_SEEDS, best_cells
from lmodp.reporting.tables.render import BOLD, Notes, Page, Table

Cell = Mapping[str, Any]
SECTIONS = {
    "claimed": "at equal claimed ε of one step (as published)",
    "verified": "at equal verified ε of the whole run",
}


@dataclass(frozen=True)
class Section:
    """The cells of one experiment under one calibration; those of one target are neighbours."""

    calibration: str
    cells: list[Cell]

    @property
    def deltas(self) -> list[float]:
        """The deltas that occur, ascending."""
        return sorted({cell["delta"] for cell in self.cells})

    @property
    def title(self) -> str:
        """What is equal in this section, with its δ if there is only one."""
        only = f", δ = {self.deltas[0]:g}" if len(self.deltas) == 1 else ""
        return f"{SECTIONS[self.calibration]}{only}"


def sections(results: Mapping[str, Any], experiment: str) -> list[Section]:
    """Return an experiment's private cells by calibration."""
    cells = [cell for cell in results["cells"] if cell["experiment"] == experiment and cell["calibration"] is not None]
    cells.sort(key=lambda cell: (cell["delta"], cell["epsilon"]))
    found = [Section(name, [cell for cell in cells if cell["calibration"] == name]) for name in SECTIONS]
    return [section for section in found if section.cells]


def comparison_pages(results: Mapping[str, Any]) -> list[Page]:
    """Return the comparison: one page per experiment, one table per calibration."""
    return [_page(results, name) for name in results["experiments"]]


def _page(results: Mapping[str, Any], name: str) -> Page:
    notes = Notes()
    before = tuple(references(results, name, notes))
    tables = [_table(section, results, name, notes) for section in sections(results, name)]
    return Page(results["experiments"][name]["title"], experiment_caption(results, name), tables, notes, before)


def _table(section: Section, results: Mapping[str, Any], experiment: str, notes: Notes) -> Table:
    heads = _heads(section, results, experiment)
    best = best_cells(results["cells"], results["comparisons"])
    rows = [_texts(cell, notes, results, best) for cell in section.cells]
    return Table(
        title=f"Noise {section.title}",
        heads=tuple(heads.values()),
        rows=[tuple(texts[key] for key in heads) for texts in rows],
        values=[tuple(_value(key, cell) for key in heads) for cell in section.cells],
        links=[cell["cell"] for cell in section.cells],
    )


def _heads(section: Section, results: Mapping[str, Any], experiment: str) -> dict[str, str]:
    """The heads of the columns: method and target, scores, difference in the main score, verified ε, status."""
    standard = results["compare"]["standard"]
    title = results["methods"].get(standard, {"title": standard})["title"]
    return {
        "method": "method",
        "target": "target ε",
        **({"delta": "δ"} if len(section.deltas) > 1 else {}),
        **{metric.name: metric.head() for metric in metrics_in(results, experiment)},
        "paired": f"difference from {title}, {leading_metric(results, experiment).unit} [95 %]",
        "verified": "verified ε, run [lower, upper]",
        "status": "status",
    }


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
    texts = scores(plain, metrics_in(results, experiment), notes)
    shown = (f"{METRICS[name].title} {text}{METRICS[name].sign}" for name, text in texts.items())
    return [*found, f"non-private: {', '.join(shown)}"]


def _texts(cell: Cell, notes: Notes, results: Mapping[str, Any], best: set[str]) -> dict[str, str]:
    """Return a cell's row as texts, by column."""
    shown = scores(cell, metrics_in(results, cell["experiment"]), notes)
    if cell["cell"] in best:
        shown[cell["metric"]] = f"{BOLD}{shown[cell['metric']]}{BOLD}"
    return {
        "method": cell["method_title"],
        "target": f"{cell['epsilon']:g}",
        "delta": f"{cell['delta']:g}",
        **shown,
        "paired": _paired(cell, results, notes),
        "verified": verified(cell, notes),
        "status": _status(cell, notes),
    }


def scores(cell: Cell, metrics: Sequence[Metric], notes: Notes) -> dict[str, str]:
    """Return a cell's scores as texts, by metric."""
    found = {}
    for metric in metrics:
        score = cell["scores"][metric.name]
        reason = score["reason"] or (None if score["values"] else cell["reason"] or NO_SCORE)
        found[metric.name] = f"{metric.mean_and_spread(score)} {note(reason, cell, notes)}".rstrip()
    return found


def verified(cell: Cell, notes: Notes) -> str:
    """Return a cell's verified interval, with a note if it has no upper end."""
    text = interval(cell["verified_lower"], cell["verified_upper"])
    reason = cell["verified_reason"] or cell["reason"] or "has no finite value"
    return text if cell["verified_upper"] is not None else f"{text} {note(reason, cell, notes)}".rstrip()


def note(reason: str | None, cell: Cell, notes: Notes) -> str:
    """Return the mark of a reason; nothing if the status of the row gives the same reason."""
    return "" if reason == cell["reason"] else notes.mark(reason)


def _paired(cell: Cell, results: Mapping[str, Any], notes: Notes) -> str:
    """The paired difference from the standard at the same target."""
    standard = results["compare"]["standard"]
    if cell["method"] == standard:
        return NOTHING
    item = next(
        (item for item in results["comparisons"] if item["cell"] == cell["cell"] and item["against"] == standard), None
    )
    if item is None or item["difference"] is None:
        reason = cell["reason"] or "no run of the other method to compare with"
        return f"{NOTHING} {note(reason, cell, notes)}".rstrip()
    difference = METRICS[cell["metric"]].difference
    text = difference(item["difference"])
    if item["lower"] is None:
        return f"{text} {notes.mark(f'fewer than {FEWEST_SEEDS} seeds: no interval, and no significance is claimed')}"
    return f"{text} [{difference(item['lower'])}, {difference(item['upper'])}]"


def _status(cell: Cell, notes: Notes) -> str:
    words, reason = status(cell)
    return f"{words} {notes.mark(reason)}".rstrip()


def status(cell: Cell) -> tuple[str, str | None]:
    """Return a cell's status in words and, unless it is done, the reason."""
    if cell["status"] != "done":
        return cell["status"], cell["reason"]
    if cell["runs_done"] < cell["repetitions"]:
        return (
            f"{cell['runs_done']} of {cell['repetitions']} runs",
            cell["runs_reason"] or "not every run has a score",
        )
    return "done", None
