"""Training curves: the leading score along the way where it was measured, the training loss otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lmodp.reporting.metrics import Metric, leading_metric
from lmodp.reporting.style import INK, WIDTH, looks

LOSS = "mean loss of the drawn examples, nats"


def draw(results: Mapping[str, Any], sources: Mapping[str, Path]) -> Figure:
    """Return a row an experiment and a column a target."""
    curves = pd.read_parquet(sources["curves"])
    names = list(results["experiments"])
    targets = {name: _targets(results, name) for name in names}
    figure, axes = plt.subplots(len(names), max(map(len, targets.values())), figsize=(WIDTH, 2.4 * len(names) + 0.6), squeeze=False, sharey="row")
    for line, name in zip(axes, names, strict=True):
        for panel in line[len(targets[name]):]:
            panel.set_visible(False)
        metric = _measured(curves, results, name)
        quantity = metric.name if metric else "training_loss"
        for panel, target in zip(line, targets[name], strict=False):
            _draw_panel(panel, curves[(curves.experiment == name) & (curves.quantity == quantity)], target, results, metric.factor if metric else 1)
        line[0].set_ylabel(metric.head(" on the evaluation split") if metric else LOSS, fontsize=8)
    _legend(figure, axes, results)
    return figure


def _targets(results: Mapping[str, Any], name: str) -> list[tuple[str, float]]:
    cells = [cell for cell in results["cells"] if cell["experiment"] == name and cell["calibration"]]
    return sorted({(cell["calibration"], cell["epsilon"]) for cell in cells}) or [("", 0.0)]


def _measured(curves: pd.DataFrame, results: Mapping[str, Any], name: str) -> Metric | None:
    """The leading metric, where it was measured along the way."""
    metric = leading_metric(results, name)
    return metric if metric.name in set(curves.quantity[curves.experiment == name]) else None


def _draw_panel(panel: Any, curves: pd.DataFrame, target: tuple[str, float], results: Mapping[str, Any], factor: float) -> None:
    calibration, epsilon = target
    look = looks(results["methods"])
    for method, facts in results["methods"].items():
        rows = curves[curves.method == method]
        rows = rows[(rows.calibration == calibration) & (rows.epsilon == epsilon)] if facts["private"] else rows
        if rows.empty:
            continue
        by_step = factor * rows.groupby("step").value.agg(["mean", "min", "max"])
        colour, dash = (look[method].colour, look[method].dash) if facts["private"] else (INK, "-")
        panel.plot(by_step.index, by_step["mean"], color=colour, linestyle=dash, label=method, linewidth=1.3)
        panel.fill_between(by_step.index, by_step["min"], by_step["max"], color=colour, alpha=0.12, linewidth=0)
    panel.set_title(f"{calibration} ε = {epsilon:g}", fontsize=9)
    panel.set_xlabel("step")


def _legend(figure: Figure, axes: Any, results: Mapping[str, Any]) -> None:
    handles = {line.get_label(): line for panel in axes.flat for line in panel.get_lines()}
    names = [name for name in results["methods"] if name in handles]
    figure.legend([handles[name] for name in names], [results["methods"][name]["title"] for name in names], loc="outside lower center", ncols=6)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    return (
        "Mean over seeds, and the range from the lowest to the highest seed. The loss is that of the examples drawn at a step, before the update; it is a "
        "diagnostic computed from private data without noise, shown for experiments that were not scored along the way, and no part of what a "
        "mechanism releases."
    )
