"""Densities and survival functions of the noises, for each target epsilon."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lmodp.mechanisms import Noise, noise_from_dict
from lmodp.reporting.figures.style import WIDTH, legend, log_axis, looks, say

POINTS = 600
RAREST = 1e-8


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return two panels for every epsilon under ``claimed``: density and survival function."""
    groups = _groups(results)
    if not groups:
        figure, panel = plt.subplots(figsize=(WIDTH, 1.0))
        say(panel, "no noise is known yet")
        return figure
    figure, axes = plt.subplots(len(groups), 2, figsize=(WIDTH, 2.5 * len(groups) + 0.5), squeeze=False)
    look = looks(results["methods"])
    for row, ((calibration, epsilon), items) in zip(axes, groups.items(), strict=True):
        noises = {name: noise_from_dict(item["law"]) for name, item in items.items()}
        reach = 4 * max(noise.sigma_effective for noise in noises.values())  # finite where the variance is not
        _draw_row(row, noises, reach, look)
        row[0].set_title(f"set to {calibration} ε = {epsilon:g}")
    axes[-1][0].set_xlabel("noise in one coordinate, in units of the clip norm")
    axes[-1][1].set_xlabel("x, in units of the clip norm")
    handles = {handle.get_label(): handle for row in axes for handle in row[0].get_lines()}
    legend(figure, [(results["methods"][name]["title"], handle) for name, handle in handles.items()], columns=5)
    return figure


def _groups(results: Mapping[str, Any]) -> dict[tuple[str, float], dict[str, Mapping[str, Any]]]:
    """One noise per method, calibration and epsilon; if there are several plans, that of the first plan."""
    found: dict[tuple[str, float], dict[str, Mapping[str, Any]]] = {}
    order = {"claimed": 0, "verified": 1}
    items = [item for item in results["mechanisms"].values() if item["law"] and item["calibration"] is not None]
    for item in sorted(items, key=lambda item: (order[item["calibration"]], item["epsilon"])):
        found.setdefault((item["calibration"], item["epsilon"]), {}).setdefault(item["method"], item)
    return found


def _draw_row(row: Any, noises: Mapping[str, Noise], reach: float, look: Mapping[str, Any]) -> None:
    left, right = row
    for name, noise in noises.items():
        line = {"color": look[name].colour, "linestyle": look[name].dash, "label": name}
        around = np.linspace(-reach, reach, 2 * POINTS + 1)
        left.plot(around, np.exp(noise.log_density(around)), **line)
        away = np.linspace(0, 4 * reach, POINTS)
        survival = noise.survival(away)
        seen = survival > RAREST
        right.plot(away[seen], survival[seen], **line)
    right.set_ylim(RAREST, 1.5)
    log_axis(right.yaxis)
    left.set_ylabel("density")
    right.set_ylabel("P(|X| > x)")


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    return (
        "Left: density of the noise added to one coordinate of the clipped sum. Right: the probability that its "
        "absolute value exceeds x, on a logarithmic scale. Mixtures of Laplaces have heavier tails than a Gaussian. "
        "If a noise depends on the plan, the figure shows that of the grid's first plan."
    )
