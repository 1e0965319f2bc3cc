"""The published search space: what every point claims, and which points qualify."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lmodp.records import read_record
from lmodp.reporting.style import GREY, INK, LOOKS, WIDTH


def draw(results: Mapping[str, Any], sources: Mapping[str, Path]) -> Figure:
    """Return a panel a search: epsilon of one step against standard deviation, qualifying points marked."""
    records = [read_record(path) for name, path in sorted(sources.items()) if name.startswith("searches")]
    paths = [path for name, path in sorted(sources.items()) if name.startswith("searches")]
    figure, axes = plt.subplots(1, len(records), figsize=(WIDTH, 3.6), squeeze=False, sharey=True)
    for panel, record, path in zip(axes[0], records, paths, strict=True):
        _draw_panel(panel, record, pd.read_parquet(path.with_name("trace.parquet")))
    axes[0][0].set_ylabel("standard deviation of the noise")
    return figure


def _draw_panel(panel: Any, record: Mapping[str, Any], trace: pd.DataFrame) -> None:
    target, accountant = record["spec"]["epsilon"], record["spec"]["accountant"]
    finite = trace[np.isfinite(trace["epsilon"])]
    fits = finite["qualifies"]
    # Tens of thousands of points: as a picture inside the vector file, which else has megabytes.
    panel.scatter(finite["epsilon"][~fits], finite["std"][~fits], s=3, color=GREY, alpha=0.25, linewidths=0, rasterized=True)
    panel.scatter(finite["epsilon"][fits], finite["std"][fits], s=4, color=LOOKS[0].colour, alpha=0.5, linewidths=0, rasterized=True)
    panel.axvline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    if record["status"] == "done":
        found = finite.iloc[(finite["epsilon"] - record["epsilon"]).abs().argmin()]
        panel.plot(found["epsilon"], found["std"], marker="*", markersize=13, markerfacecolor=LOOKS[2].colour, markeredgecolor="white")
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.set_xlabel(f"ε of one step, {accountant}")
    panel.set_title(f"below {target:g}: {record['qualifying']:,} of {record['points']:,} points", fontsize=9)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    return (
        "Every point of the searched space with a finite ε: ε of one step as the accountant of the search gives it, against the standard deviation of "
        "the noise. Blue points qualify (ε below the target, dashed); the star is what the search returns."
    )
