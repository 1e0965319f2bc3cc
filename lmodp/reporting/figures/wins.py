"""Where optimised noise wins: the noise that K numbers need, against the number of releases, for three deltas."""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from lmodp.records.record import read_record
from lmodp.reporting.figures.style import INK, WIDTH
from lmodp.reporting.formats import number, plain_list
from lmodp.search.few_numbers import table

NOISES = {"laplace": "Laplace", "lmo": "best published LMO shape", "spherical": "best spherical (1: best of all)"}
_BRIGHT = 0.67  # of a cell's colour: dark letters are read on it
SENTENCES, RATES = 872, 16  # of the task: test sentences (those of SST-2), and learning rates to choose from
Key = tuple[str, int | None, int, float]  # noise, numbers (None: many), releases, delta


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one heat map per delta (row) and noise (column)."""
    needed = _needed(read_record(sources["wins"][0])["rows"])
    deltas = sorted({key[3] for key in needed})
    figure, axes = plt.subplots(len(deltas), len(NOISES), figsize=(WIDTH, 2.0 * len(deltas) + 0.6), squeeze=False)
    for line, delta in zip(axes, deltas, strict=True):
        for panel, name in zip(line, NOISES, strict=True):
            _draw_panel(panel, needed, name, delta)
            panel.set_title(NOISES[name] if delta == deltas[0] else "", fontsize=8)
            panel.set_xlabel("numbers released" if delta == deltas[-1] else "")
            panel.set_ylabel(f"releases, δ = {delta:g}" if name == "laplace" else "", fontsize=8)
    return figure


def _needed(rows: Sequence[Mapping[str, Any]]) -> dict[Key, float | None]:
    return {(row["noise"], row["numbers"], row["releases"], row["delta"]): row["noise_multiplier"] for row in rows}


def ratio(needed: Mapping[Key, float | None], key: Key) -> float | None:
    """Return the noise over the Gaussian's; at delta = 0, where it has no epsilon, over the Laplace's."""
    _, numbers, releases, delta = key
    own, standard = needed.get(key), needed.get(("laplace" if delta == 0 else "gaussian", numbers, releases, delta))
    return own / standard if own and standard else None


def _draw_panel(panel: Any, needed: Mapping[Key, float | None], name: str, delta: float) -> None:
    numbers = list(dict.fromkeys(key[1] for key in needed))
    releases = sorted({key[2] for key in needed}, reverse=True)
    found = [[ratio(needed, (name, count, times, delta)) for count in numbers] for times in releases]
    grid = np.array([[np.nan if value is None else value for value in line] for line in found])
    # seaborn's heatmap draws the whole figure anew for every panel.
    mesh = panel.pcolormesh(
        np.ma.masked_invalid(grid), cmap="RdBu_r", norm=TwoSlopeNorm(1, 0.2, 3), linewidths=0.5, edgecolors="white"
    )
    mesh.update_scalarmappable()
    for (row, column), colour in zip(np.ndindex(grid.shape), mesh.get_facecolors(), strict=True):
        if (value := found[row][column]) is not None:
            ink = INK if colour[:3] @ (0.3, 0.6, 0.1) > _BRIGHT else "white"
            place = {"ha": "center", "va": "center", "fontsize": 6, "color": ink}
            panel.text(column + 0.5, row + 0.5, f"{value:.2f}", **place)
    for axis, labels in (
        (panel.xaxis, ["many" if count is None else f"{count:,}" for count in numbers]),
        (panel.yaxis, [f"{times:,}" for times in releases]),
    ):
        axis.set_ticks(np.arange(len(labels)) + 0.5, labels)
    panel.set(xlim=(0, len(numbers)), ylim=(len(releases), 0))
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.grid(False)
    panel.set_facecolor("#e8e8e8")
    panel.tick_params(axis="both", length=0, labelsize=6.5, rotation=0)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows, and what follows for a task."""
    needed = _needed(table())
    return (
        "Noise at equal verified ε = 1, without sampling, over the Gaussian's (at δ = 0, where a Gaussian has no ε, "
        "over a Laplace's), for numbers that are released together. Below 1 (blue) a noise needs less. Each noise has "
        "a proof: exact for one number, for the Gaussian and for spherical noise; for independent noise in more "
        "numbers the smaller of two bounds, which may be too large (in many, the truth is √2 at least). "
        f"{' '.join(sentences(needed))} Grey: no ε is proven, or the Gaussian is the limit."
    )


def sentences(needed: Mapping[Key, float | None]) -> list[str]:
    """Return what the table says in words: of one number, and of two tasks."""
    one = {times: ratio(needed, ("laplace", 1, times, 1e-10)) for times in (1, 16, 1000)}
    told = [f"{number(value, 3)} times at {times:,}" for times, value in one.items() if value]
    found = [f"For one number at δ = 1e-10 a Laplace needs, over the Gaussian, {plain_list(told)} releases."]
    best = ratio(needed, ("spherical", 1, 16, 1e-10))
    if best:
        found.append(f"At 16 releases the best noise that convex programmes find needs {number(best, 3)} times.")
    tasks = {"the accuracy on": 1, f"a choice among {RATES} learning rates by their accuracies on": RATES}
    for task, count in tasks.items():
        names = {"gaussian": "Gaussian", "laplace": "Laplace", "spherical": "the best"}
        stds = {title: needed.get((name, count, 1, 1e-10)) for name, title in names.items()}
        # An example may change every count by 1: sqrt(count) in the L2 norm.
        errors = {title: 100 * sqrt(count) * std / SENTENCES for title, std in stds.items() if std}
        if errors:
            words = plain_list([f"{number(error, 2)} points by {title} noise" for title, error in errors.items()])
            what = f"{task} {SENTENCES} test sentences has an error (standard deviation) of {words}"
            found.append(f"Released once at δ = 1e-10, {what}.")
    return found
