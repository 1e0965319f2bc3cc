"""The map of where LMO noise can win: dimension against epsilon, for several numbers of releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from lmodp.records.record import read_record
from lmodp.reporting.figures.style import WIDTH


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one heat map per family (row) and number of releases (column)."""
    rows = read_record(sources["wins"][0])["rows"]
    families, steps = list(dict.fromkeys(row["family"] for row in rows)), sorted({row["steps"] for row in rows})
    figure, axes = plt.subplots(
        len(families), len(steps), figsize=(WIDTH, 2.3 * len(families) + 0.6), squeeze=False, sharex=True, sharey=True
    )
    for number, (line, family) in enumerate(zip(axes, families, strict=True), 1):
        for panel, count in zip(line, steps, strict=True):
            _draw_panel(panel, [row for row in rows if row["family"] == family and row["steps"] == count])
            panel.set_title(f"{_name(family)}, {count} release{'s' if count > 1 else ''}", fontsize=9)
            panel.set_xlabel("coordinates released" if number == len(families) else "")
            panel.set_ylabel("ε" if count == steps[0] else "")
    return figure


def _draw_panel(panel: Any, rows: list[Mapping[str, Any]]) -> None:
    """Draw the noise ratio; below 1 (blue) the family needs less noise than the Gaussian."""
    dimensions, targets = (
        list(dict.fromkeys(row["dimension"] for row in rows)),
        sorted({row["epsilon"] for row in rows}, reverse=True),
    )
    grid = np.full((len(targets), len(dimensions)), np.nan)
    for row in rows:
        if row["noise_ratio"] is not None:
            grid[targets.index(row["epsilon"]), dimensions.index(row["dimension"])] = row["noise_ratio"]
    texts = np.array([["" if np.isnan(value) else f"{value:.2f}" for value in line] for line in grid])
    sns.heatmap(
        grid,
        ax=panel,
        annot=texts,
        fmt="",
        annot_kws={"fontsize": 7},
        cmap="RdBu_r",
        norm=TwoSlopeNorm(1, 0.3, 3),
        cbar=False,
        linewidths=0.5,
        linecolor="white",
        xticklabels=["many" if item is None else f"{item:,}" for item in dimensions],
        yticklabels=[f"{item:g}" for item in targets],
    )
    panel.set_facecolor("#e8e8e8")
    panel.tick_params(axis="both", length=0, labelsize=7.5)
    panel.tick_params(axis="x", rotation=0)
    panel.tick_params(axis="y", rotation=0)


def _name(family: str) -> str:
    return "Laplace" if family == "laplace" else f"LMO noise {family!r}".replace("'lmo-", "'")


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    return (
        "Noise, × Gaussian: the noise multiplier that a noise needs, divided by the Gaussian's, at equal verified ε "
        "(Rényi bound for both), without sampling. Below 1 (blue) it needs less noise than the Gaussian, above 1 "
        "(red) more. In many dimensions every mixture of Laplaces needs at least √2. Between one and many "
        "coordinates, the map assumes an evenly spread shift. Grey: no answer."
    )
