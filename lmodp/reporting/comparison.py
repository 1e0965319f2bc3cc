"""The main table: one row a cell, every answer to "what is epsilon?" beside the accuracy.

A place without a number is never blank without a reason: the reason becomes a
numbered note under the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lmodp.reporting.formats import NOTHING, interval, mean_and_spread, number, percent

HEADS = {
    "method": "method",
    "target": "target ε",
    "delta": "δ",
    "claimed_step": "claimed ε, step",
    "claimed_run": "claimed ε, run",
    "pure_scalar_step": "pure scalar ε, step",
    "theorem_step": "theorem ε, step",
    "theorem_run": "theorem ε, run",
    "verified": "verified ε, run [lower, upper]",
    "noise_std": "noise std",
    "sigma_effective": "σ_effective",
    "accuracy": "accuracy, %",
    "status": "status",
}
SECTIONS = {
    "claimed": "set to equal claimed ε of one step (as published)",
    "verified": "set to equal verified ε of the whole run",
}


@dataclass
class Notes:
    """Reasons under a table, each once, numbered in the order of appearance."""

    texts: list[str] = field(default_factory=list)

    def mark(self, reason: str | None) -> str:
        """Return the mark of a reason, such as ``(2)``; nothing without a reason."""
        if not reason:
            return ""
        if reason not in self.texts:
            self.texts.append(reason)
        return f"({self.texts.index(reason) + 1})"


@dataclass(frozen=True)
class Section:
    """Rows of one experiment under one calibration: a dict of texts a row, and the row's cell."""

    calibration: str
    rows: list[tuple[dict[str, str], Mapping[str, Any]]]


def sections(results: Mapping[str, Any], experiment: str, notes: Notes) -> list[Section]:
    """Return an experiment's rows by calibration, those of one target side by side."""
    cells = [cell for cell in results["cells"] if cell["experiment"] == experiment and cell["calibration"] is not None]
    found = []
    for calibration in SECTIONS:
        rows = sorted((cell for cell in cells if cell["calibration"] == calibration), key=lambda cell: (cell["delta"], cell["epsilon"]))
        if rows:
            found.append(Section(calibration, [(texts(cell, notes), cell) for cell in rows]))
    return found


def references(results: Mapping[str, Any], experiment: str) -> dict[str, str]:
    """Return the accuracies that every row is read against: majority class and non-private."""
    facts = results["experiments"][experiment]
    plain = next((cell for cell in results["cells"] if cell["experiment"] == experiment and cell["calibration"] is None), None)
    trained = mean_and_spread(plain["accuracy"], plain["accuracy_spread"]) if plain else NOTHING
    if plain is None:
        trained = f"{NOTHING} (no such method in this grid)"
    elif plain["status"] != "done":
        trained = f"{trained} ({plain['status']}: {plain['reason']})"
    return {"majority class": percent(facts["majority_accuracy"]), "non-private": trained}


def texts(cell: Mapping[str, Any], notes: Notes) -> dict[str, str]:
    """Return a cell's row as texts, by the keys of `HEADS`."""
    skipped = cell["status"] == "skipped"
    why = {name: cell["reason"] if skipped else cell[f"{name}_reason"] for name in ("claimed", "theorem", "verified")}
    other = cell["reason"] if skipped else "has no finite value"
    std = cell["noise_reason"] or other

    def shown(value: float | None, reason: str | None) -> str:
        return number(value) if value is not None else f"{NOTHING} {notes.mark(reason or other)}"

    return {
        "method": cell["method_title"],
        "target": f"{cell['epsilon']:g}",
        "delta": f"{cell['delta']:g}",
        "claimed_step": shown(cell["claimed_step"], why["claimed"]),
        "claimed_run": shown(cell["claimed_run"], why["claimed"]),
        "pure_scalar_step": shown(cell["pure_scalar_step"], cell["pure_scalar_reason"] or other),
        "theorem_step": shown(cell["theorem_step"], why["theorem"]),
        "theorem_run": shown(cell["theorem_run"], why["theorem"]),
        "verified": _verified(cell, why["verified"] or other, notes),
        "noise_std": shown(cell["noise_std"], std),
        "sigma_effective": shown(cell["sigma_effective"], why["verified"]),
        "accuracy": _accuracy(cell, notes),
        "status": _status(cell, notes),
    }


def _verified(cell: Mapping[str, Any], reason: str, notes: Notes) -> str:
    text = interval(cell["verified_lower"], cell["verified_upper"])
    return text if cell["verified_upper"] is not None else f"{text} {notes.mark(reason)}"


def _accuracy(cell: Mapping[str, Any], notes: Notes) -> str:
    text = mean_and_spread(cell["accuracy"], cell["accuracy_spread"])
    if cell["accuracy"] is None:
        return f"{text} {notes.mark(cell['reason'] or 'no run of this cell has a score')}"
    return text


def _status(cell: Mapping[str, Any], notes: Notes) -> str:
    if cell["status"] != "done":
        return f"{cell['status']} {notes.mark(cell['reason'])}"
    if cell["runs_done"] < cell["repetitions"]:
        reason = cell["runs_reason"] or "not every run has a score"
        return f"{cell['runs_done']} of {cell['repetitions']} runs {notes.mark(reason)}"
    return "done"
