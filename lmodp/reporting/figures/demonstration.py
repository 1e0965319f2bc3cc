"""Demonstrations: every score that the figures ``comparison`` and ``choice`` do not show."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lmodp.reporting.figures import comparison
from lmodp.reporting.figures.style import WIDTH, legend, looks, say
from lmodp.reporting.results.against import Cell
from lmodp.reporting.results.best import tasks
from lmodp.reporting.results.metrics import FEWEST_SEEDS, at_chance

COLUMNS = 3
DRAW = {"claimed": comparison.draw_claims, "verified": comparison.draw_scores}


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return up to two panels per experiment: from claimed to verified ε, and scores at equal verified ε."""
    panels, look = _panels(results), looks(results["methods"])
    rows = ceil(len(panels) / COLUMNS) or 1
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(WIDTH, 2.7 * rows + 0.8), squeeze=False)
    for panel in axes.flat[len(panels) :]:
        say(panel, "" if panels else "nothing beside\nthe main figure")
    drawn: set[str] = set()
    for panel, (name, calibration, cells) in zip(axes.flat, panels, strict=False):
        drawn |= DRAW[calibration](panel, cells, results, look)
        comparison.share_scores([panel], results, name)
        panel.set_title(fill(results["experiments"][name]["title"], 32), fontsize=8.5)
    legend(figure, comparison.entries(results, drawn, look), columns=4)
    return figure


def _panels(results: Mapping[str, Any]) -> list[tuple[str, str, list[Cell]]]:
    """The cells that the figures with intervals do not show, by experiment and calibration."""
    shown = (comparison.main_cells(results), *tasks(results).values())
    main = {cell["cell"] for cells in shown for cell in cells}
    found: dict[tuple[str, str], list[Cell]] = {}
    for name in results["experiments"]:
        for calibration in DRAW:
            cells = [cell for cell in comparison.private_cells(results, name) if cell["calibration"] == calibration]
            found[name, calibration] = [cell for cell in cells if cell["cell"] not in main]
    return [(*panel, cells) for panel, cells in found.items() if cells]


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    cells = [cell for _, _, cells in _panels(results) for cell in cells]
    failed = sum(bool(at_chance(results, cell)) for cell in cells)
    chance = f", and {failed} of {len(cells)} {'lies' if failed == 1 else 'lie'} at chance" if failed else ""
    return (
        "Scores that no other figure shows. Those that only show that the suite trains a "
        f"method or model have few seeds or few steps{chance}. "
        "Panels over claimed and verified ε: each setting, hollow at the ε that "
        "is claimed for the run, full at the upper end of the verified interval. Panels over verified ε alone: scores "
        f"at equal verified ε; bars are 95 % intervals over seeds, and with fewer than {FEWEST_SEEDS} seeds every run "
        f"is a dot.{comparison.claims_beyond(cells)}"
    )
