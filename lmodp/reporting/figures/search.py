"""The searched space: what every accountant says of every point, and which points qualify under each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lmodp.accounting.search import landscape
from lmodp.accounting.space import load_space
from lmodp.records import read_record
from lmodp.reporting.style import GREY, INK, LOOKS, WIDTH

ACCOUNTANTS = ("claimed", "theorem", "verified")
MOST_ROWS = 4


def draw(results: Mapping[str, Any], sources: Mapping[str, Path]) -> Figure:
    """Return a row a search and a panel an accountant: epsilon of one step against standard deviation."""
    paths = _shown([path for name, path in sources.items() if name.startswith("searches")])
    figure, axes = plt.subplots(len(paths), len(ACCOUNTANTS), figsize=(WIDTH, 0.6 + 2.4 * len(paths)), squeeze=False, sharey=True, sharex="col")
    for row, path in zip(axes, paths, strict=True):
        record = read_record(path)
        trace = _with_landscape(pd.read_parquet(path.with_name("trace.parquet")), record["spec"])
        for panel, accountant in zip(row, ACCOUNTANTS, strict=True):
            _draw_panel(panel, accountant, record, trace)
        row[0].set_ylabel(f"noise std (target ε {record['spec']['epsilon']:g})")
    for panel, accountant in zip(axes[-1], ACCOUNTANTS, strict=True):
        panel.set_xlabel(f"ε of one step, {accountant}")
    return figure


def _with_landscape(trace: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """A trace with what every accountant says of each point; records kept from earlier code lack it."""
    return trace if "step_verified" in trace else trace.assign(**landscape(load_space(spec["space"]), delta=spec["delta"]))


def _shown(paths: list[Path]) -> list[Path]:
    """The searches at the smallest delta, by target: others of the same space look the same."""
    specs = {path: read_record(path)["spec"] for path in paths}
    smallest = min(spec["delta"] for spec in specs.values())
    chosen = [path for path in paths if specs[path]["delta"] == smallest]
    return sorted(chosen, key=lambda path: specs[path]["epsilon"])[:MOST_ROWS]


def _draw_panel(panel: Any, accountant: str, record: Mapping[str, Any], trace: pd.DataFrame) -> None:
    target, column = record["spec"]["epsilon"], f"step_{accountant}"
    finite = trace[np.isfinite(trace[column]) & np.isfinite(trace["std"])]
    fits = finite[column] < target
    # Tens of thousands of points: as a picture inside the vector file, which else has megabytes.
    panel.scatter(finite[column][~fits], finite["std"][~fits], s=3, color=GREY, alpha=0.25, linewidths=0, rasterized=True)
    panel.scatter(finite[column][fits], finite["std"][fits], s=4, color=LOOKS[0].colour, alpha=0.5, linewidths=0, rasterized=True)
    panel.axvline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    if record["status"] == "done" and record["point"] in finite.index:
        found = finite.loc[record["point"]]
        panel.plot(found[column], found["std"], marker="*", markersize=13, markerfacecolor=LOOKS[2].colour, markeredgecolor="white")
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.set_title(f"{int((trace[column] < target).sum()):,} of {len(trace):,} qualify", fontsize=8)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    return (
        "Every point of the searched space with a finite ε and a finite standard deviation: ε of one step as claimed, by the theorem, and verified "
        "(one full release of a gradient of many coordinates), against the standard deviation of the noise. Blue points qualify (ε below the target, "
        "dashed); the star is what the search returned, in each panel."
    )
