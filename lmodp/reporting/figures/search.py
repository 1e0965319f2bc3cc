"""The searched space: epsilon of every point under every accountant, and which points qualify."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lmodp.records.record import read_record
from lmodp.reporting.figures.style import GREY, INK, LOOKS, WIDTH, log_axis
from lmodp.vocabulary import ACCOUNTANTS


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one row per search and one panel per accountant: noise multiplier against epsilon of one step."""
    searches = [read_record(path) for path in sources["searches"]]
    (record,) = sources["landscape"]
    points, landscape = pd.read_parquet(record.with_suffix(".parquet")), read_record(record)
    rows, size = len(searches), (WIDTH, 0.6 + 2.4 * len(searches))
    figure, axes = plt.subplots(rows, len(ACCOUNTANTS), figsize=size, squeeze=False, sharey=True, sharex="col")
    for row, search in zip(axes, searches, strict=True):
        epsilon = search["spec"]["epsilon"]
        qualifying = next(item for item in landscape["qualifying"] if item["epsilon"] == epsilon)
        for panel, accountant in zip(row, ACCOUNTANTS, strict=True):
            _draw_panel(panel, accountant, search, points)
            panel.set_title(f"{qualifying[accountant]:,} of {landscape['points']:,} qualify", fontsize=8)
        row[0].set_ylabel(f"noise multiplier (target ε {epsilon:g})")
    for panel, accountant in zip(axes[-1], ACCOUNTANTS, strict=True):
        panel.set_xlabel(f"ε of one step, {accountant}".replace("paper_bound", "paper's bound"))
    return figure


def _draw_panel(panel: Any, accountant: str, record: Mapping[str, Any], points: pd.DataFrame) -> None:
    target, column = record["spec"]["epsilon"], f"step_{accountant}"
    finite = points[np.isfinite(points[column]) & np.isfinite(points["std"])]
    fits = finite[column] < target
    # Tens of thousands of points are drawn as a bitmap; as vectors they would take megabytes.
    for shown, size, colour, alpha in ((~fits, 3, GREY, 0.25), (fits, 4, LOOKS[0].colour, 0.5)):
        place = (finite[column][shown], finite["std"][shown])
        panel.scatter(*place, s=size, color=colour, alpha=alpha, linewidths=0, rasterized=True)
    panel.axvline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    if record["status"] == "done" and record["point"] in finite.index:
        found = finite.loc[record["point"]]
        panel.plot(found[column], found["std"], marker="*", ms=13, mfc=LOOKS[2].colour, mec="white")
    for axis in (panel.xaxis, panel.yaxis):
        log_axis(axis)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    return (
        "Every point of the searched space with a finite ε and a finite noise multiplier. Vertical: noise "
        "multiplier. Horizontal: ε of one step, as claimed, by the paper's bound, and verified (one release of a "
        "gradient of many coordinates, without sampling). Blue points qualify: their ε is below the target (dashed "
        "line). The star in each panel is the point that the search returned."
    )
