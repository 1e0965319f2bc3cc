"""Training curves: the main score during training if it was measured, otherwise the training loss."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lmodp.reporting.figures.style import INK, WIDTH, legend, looks
from lmodp.reporting.formats import plain_list
from lmodp.reporting.results.metrics import leading_metric

LOSS = "mean loss of the\ndrawn examples, nats"
COLUMNS = 4
POINTS = 100  # of a curve; more cannot be seen, and a file with all steps has megabytes


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one panel per target, experiment by experiment."""
    curves = pd.read_parquet(sources["curves"][0])
    beside = {cell["cell"] for cell in results["cells"] if cell["setting"] is not None}
    curves = curves[~curves.cell.isin(beside)]
    rows = []
    for name in results["experiments"]:
        found = _targets(results, name, curves)
        rows += [(name, found[first : first + COLUMNS]) for first in range(0, len(found), COLUMNS)]
    columns, lines = max((len(row) for _, row in rows), default=1), max(len(rows), 1)
    figure, axes = plt.subplots(lines, columns, figsize=(WIDTH, 2.5 * lines + 0.6), squeeze=False, sharey="row")
    before = None
    for line, (name, row) in zip(axes, rows, strict=False):
        leading = leading_metric(results, name)
        measured = leading.name in set(curves.quantity[curves.experiment == name])
        metric = leading if measured else None
        of_it = curves[(curves.experiment == name) & (curves.quantity == (metric.name if metric else "training_loss"))]
        for panel, target in zip(line, row, strict=False):
            _draw_panel(panel, of_it, target, results, metric.factor if metric else 1)
        for panel in line[len(row) :]:
            panel.set_visible(False)
        line[0].set_ylabel(metric.head(" on the evaluation split") if metric else LOSS, fontsize=8)
        if name != before:  # the layout engine reserves only height for titles; a text artist would widen the column
            line[0].set_title(f"{results['experiments'][name]['title']}\n{line[0].get_title(loc='left')}", fontsize=9)
        before = name
    handles = {line.get_label(): line for panel in axes.flat for line in panel.get_lines()}
    methods = results["methods"].items()
    legend(figure, [(facts["title"], handles[name]) for name, facts in methods if name in handles], columns=4)
    return figure


def _targets(results: Mapping[str, Any], name: str, curves: pd.DataFrame) -> list[tuple[str, float] | None]:
    """The targets that have curves; None if only non-private runs have. Methods' own published points are left out."""
    there = set(curves.cell)
    cells = [cell for cell in results["cells"] if cell["experiment"] == name and cell["cell"] in there]
    private = [cell for cell in cells if cell["calibration"] and cell["setting"] is None]
    found = sorted({(cell["calibration"], cell["epsilon"]) for cell in private})
    return [None] if cells and not found else [*found]


def _draw_panel(
    panel: Any, curves: pd.DataFrame, target: tuple[str, float] | None, results: Mapping[str, Any], factor: float
) -> None:
    calibration, epsilon = target or (None, None)
    look = looks(results["methods"])
    for method, facts in results["methods"].items():
        rows = curves[curves.method == method]
        rows = rows[(rows.calibration == calibration) & (rows.epsilon == epsilon)] if facts["private"] else rows
        if rows.empty:
            continue
        rows = _fewer_points(rows)
        by_step = factor * rows.groupby("step").value.agg(["mean", "min", "max"])
        colour, dash = (look[method].colour, look[method].dash) if facts["private"] else (INK, "-")
        panel.plot(by_step.index, by_step["mean"], color=colour, linestyle=dash, label=method, linewidth=1.3)
        panel.fill_between(by_step.index, by_step["min"], by_step["max"], color=colour, alpha=0.12, linewidth=0)
    panel.set_title(f"{calibration} ε = {epsilon:g}" if target else "no private run yet", fontsize=9)
    panel.set_xlabel("step")


def _fewer_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of one panel, with means over equally many steps in place of more than `POINTS` steps."""
    width = ceil(rows.step.max() / POINTS)
    if rows.step.nunique() <= POINTS or width == 1:
        return rows
    pieces = rows.groupby(["run", (rows.step - 1) // width]).agg({"step": "mean", "value": "mean"})
    return pieces.reset_index(drop=True)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows and what it leaves out."""
    ran = {cell["experiment"] for cell in results["cells"] if cell["runs_done"] and cell["setting"] is None}
    absent = [facts["title"] for name, facts in results["experiments"].items() if name not in ran]
    left_out = f" No runs yet: {plain_list(absent)}." if absent else ""
    return (
        "Line: mean over seeds. Band: lowest to highest seed. Experiments that were not scored during training show "
        "the loss of each step's batch, before the update. This loss is a diagnostic: it is computed from private "
        f"data without noise, and no mechanism releases it. Of more than {POINTS} steps, means over equally many are "
        "drawn. The methods' own published points are left out." + left_out
    )
