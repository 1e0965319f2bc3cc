"""The main score against the claimed epsilon of the run (left) and against the verified one (right)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lmodp.reporting.captions import PRIVACY_UNIT
from lmodp.reporting.figures.style import FAINT, GREY, INK, WIDTH, Look, looks
from lmodp.reporting.formats import plain_list
from lmodp.reporting.results.metrics import METRICS, leading_metric, leading_score, nonprivate_cell

FEW_SEEDS = 5
NARROW = 10
WIDE = 1e4  # an axis this wide has room for decades only
SAME_CLAIM = 0.05  # claims closer than this share one annotation
NEAR = 2.0  # an annotation closer than this to the previous one is written one line higher
FAR_BELOW = 0.6  # of the scores' range


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return the main figure: one row of two panels per experiment that has scores."""
    names = _drawn(results)
    figure, axes = plt.subplots(
        len(names), 2, figsize=(WIDTH, 3.1 * len(names) + 0.7), sharey="row", sharex="col", squeeze=False
    )
    look = looks(results["methods"])
    for row, name in zip(axes, names, strict=True):
        _draw_experiment(row, results, name, look)
    for (left, right), name in zip(axes, names, strict=True):  # when every row has set the columns' common limits
        _references(right, left, _reference_values(results, name), _verified_points(results, name))
    for panel, label in zip(axes[-1], ("claimed ε of the run", "verified ε of the run"), strict=True):
        panel.set_xlabel(label)
    drawn = {cell["method"] for cell in results["cells"] if cell["experiment"] in names and _scored(cell)}
    figure.legend(
        handles=_legend(results, {name: item for name, item in look.items() if name in drawn}),
        loc="outside lower center",
        ncols=4,
    )
    return figure


def _drawn(results: Mapping[str, Any]) -> list[str]:
    """The experiments with scores of private cells; if there is none, the first experiment."""
    scored = {cell["experiment"] for cell in results["cells"] if cell["calibration"] and _scored(cell)}
    return [name for name in results["experiments"] if name in scored] or list(results["experiments"])[:1]


def _private_cells(results: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [cell for cell in results["cells"] if cell["experiment"] == name and cell["calibration"] and _scored(cell)]


def _verified_points(results: Mapping[str, Any], name: str) -> list[tuple[float, float]]:
    return [
        (cell["verified_upper"], _shown(cell))
        for cell in _private_cells(results, name)
        if cell["verified_upper"] is not None
    ]


def _draw_experiment(row: Any, results: Mapping[str, Any], name: str, look: Mapping[str, Look]) -> None:
    left, right = row
    facts = results["experiments"][name]
    cells = _private_cells(results, name)
    claimed = _with_claims(cells)
    verified = [cell for cell in cells if cell["verified_upper"] is not None]
    _draw_lines(left, claimed, "claimed_run", look)
    _draw_lines(right, verified, "verified_upper", look)
    for cell in claimed:
        _draw_point(left, cell, "claimed_run", look[cell["method"]])
    for cell in verified:
        _draw_interval(right, cell, look[cell["method"]])
        _draw_point(right, cell, "verified_upper", look[cell["method"]])
    # Methods that claim by a formula of their own have no claimed epsilon of one step.
    _annotate_targets(
        left,
        [
            cell
            for cell in claimed
            if cell["calibration"] == "claimed" and cell["claimed_step"] is not None and cell["setting"] is None
        ],
    )
    for panel, drawn in ((left, claimed), (right, verified)):
        _log_axis(panel) if drawn else _say_empty(panel)
    left.set_title(facts["title"], pad=28)
    left.set_ylabel(leading_metric(results, name).head(f" on {facts['evaluation_split']}"))


def _with_claims(cells: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The cells calibrated to a claim; without any, the others at the ε that the published accounting gives."""
    found = [cell for cell in cells if cell["claimed_run"] is not None]
    return [cell for cell in found if cell["calibration"] == "claimed"] or found


def _scored(cell: Mapping[str, Any]) -> bool:
    """Whether a cell has a main score."""
    return leading_score(cell)["mean"] is not None


def _shown(cell: Mapping[str, Any]) -> float:
    """A cell's mean main score in the unit of the axis: accuracy in percent."""
    return METRICS[cell["metric"]].factor * float(leading_score(cell)["mean"])


def _say_empty(panel: Axes) -> None:
    panel.set_axis_off()
    panel.annotate("no cell has both this ε and a score", (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY)


def _draw_lines(panel: Axes, cells: list[Mapping[str, Any]], x: str, look: Mapping[str, Look]) -> None:
    """Join the points of one method, in the order of epsilon."""
    groups: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["method"], cell["delta"]), []).append(cell)
    for (method, _), group in groups.items():
        group = sorted(group, key=lambda cell: cell[x])
        panel.plot(
            [cell[x] for cell in group],
            [_shown(cell) for cell in group],
            color=look[method].colour,
            linestyle=look[method].dash,
            linewidth=1.1,
            alpha=0.75,
            zorder=2,
        )


def _draw_point(panel: Axes, cell: Mapping[str, Any], x: str, look: Look) -> None:
    """Draw the mean, and every run if there are few seeds, otherwise the standard deviation."""
    hollow = cell["calibration"] == "verified"
    score, factor = leading_score(cell), METRICS[cell["metric"]].factor
    values = [factor * value for value in score["values"]]
    if len(values) >= FEW_SEEDS:
        panel.errorbar(
            cell[x], _shown(cell), yerr=factor * score["spread"], color=look.colour, linewidth=1, capsize=2.5, zorder=3
        )
    else:
        panel.scatter([cell[x]] * len(values), values, s=9, color=look.colour, alpha=0.7, linewidths=0, zorder=3)
    panel.plot(
        cell[x],
        _shown(cell),
        marker=look.marker,
        markerfacecolor="white" if hollow else look.colour,
        markeredgecolor=look.colour,
        markeredgewidth=1.4 if hollow else 0.8,
        linestyle="none",
        zorder=4,
    )


def _draw_interval(panel: Axes, cell: Mapping[str, Any], look: Look) -> None:
    if cell["verified_lower"]:
        panel.plot(
            [cell["verified_lower"], cell["verified_upper"]],
            [_shown(cell)] * 2,
            color=look.colour,
            linewidth=4,
            alpha=0.35,
            solid_capstyle="butt",
            zorder=2,
        )


def _annotate_targets(panel: Axes, cells: list[Mapping[str, Any]]) -> None:
    """Write each target's epsilon of one step above the points that claim it."""
    last, last_raised = 0.0, 0.0
    for target in sorted({cell["epsilon"] for cell in cells}):
        places = sorted(cell["claimed_run"] for cell in cells if cell["epsilon"] == target)
        while places:
            close = [place for place in places if place <= places[0] * (1 + SAME_CLAIM)]
            middle = exp(fmean(log(place) for place in close))
            panel.axvline(middle, color=FAINT, linewidth=0.9, zorder=0)
            crowded = middle < NEAR * last and middle >= NEAR * last_raised
            panel.annotate(
                f"step ε = {target:g}",
                (middle, 1),
                xycoords=panel.get_xaxis_transform(),
                xytext=(0, 12 if crowded else 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8,
                color=GREY,
            )
            last, last_raised = (last, middle) if crowded else (middle, last_raised)
            places = places[len(close) :]


def _log_axis(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.margins(x=0.12, y=0.08)
    low, high = panel.get_xlim()
    if high < NARROW * low:  # all claims are equal: a wider axis shows this better than many digits
        panel.set_xlim((low * high / NARROW) ** 0.5, (low * high * NARROW) ** 0.5)
    low, high = panel.get_xlim()
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < WIDE * low else (1,)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(axis="x", visible=False)


def _reference_values(results: Mapping[str, Any], name: str) -> dict[str, float]:
    """The reference scores: non-private training and, for accuracy, the majority class."""
    metric, plain = leading_metric(results, name), nonprivate_cell(results, name)
    found = {"non-private": _shown(plain) if plain and _scored(plain) else None}
    if metric.name == "accuracy" and results["experiments"][name]["majority_accuracy"] is not None:
        found["majority class"] = metric.factor * results["experiments"][name]["majority_accuracy"]
    return {label: value for label, value in found.items() if value is not None}


def _references(right: Axes, left: Axes, values: Mapping[str, float], points: list[tuple[float, float]]) -> None:
    """Draw reference values as lines, labelled at an edge of the right panel.

    Values far below the scores get only the label.
    """
    if not (left.axison or right.axison):
        return
    for name, value in values.items():
        low, high = right.get_ylim()
        for panel in () if value < low - FAR_BELOW * (high - low) else (left, right):
            panel.axhline(
                value, color=INK, linewidth=0.9, linestyle="-" if name == "non-private" else (0, (4, 3)), zorder=1
            )
    low, _ = right.get_ylim()
    for name, value in values.items():
        below = value < low
        edge = _emptier_edge(right, points, low if below else value)
        right.annotate(
            f"{name} {value:.1f}{', below the axis' if below else ''}",
            (edge, 0 if below else value),
            xycoords=right.transAxes if below else right.get_yaxis_transform(),
            xytext=(2 - 4 * edge, 2),
            textcoords="offset points",
            ha="right" if edge else "left",
            va="bottom",
            fontsize=7.5,
            color=INK,
        )


def _emptier_edge(panel: Axes, points: list[tuple[float, float]], height: float) -> int:
    """Return the edge with fewer points above the height: 1 for right (also if equal), 0 for left."""
    if not points:
        return 1
    places = (panel.transData + panel.transAxes.inverted()).transform([*points, (points[0][0], height)])
    over = [x for x, y in places[:-1] if -0.05 < y - places[-1][1] < 0.12]
    return int(sum(x > 0.65 for x in over) <= sum(x < 0.35 for x in over))


def _legend(results: Mapping[str, Any], look: Mapping[str, Look]) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], color=item.colour, marker=item.marker, linestyle=item.dash, label=results["methods"][name]["title"]
        )
        for name, item in look.items()
    ]
    for text, face in (("at equal claimed ε of one step", GREY), ("at equal verified ε of the run", "white")):
        handles.append(
            Line2D([], [], marker="o", markerfacecolor=face, markeredgecolor=GREY, linestyle="none", label=text)
        )
    return handles


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows and what it leaves out."""
    private = [cell for cell in results["cells"] if cell["calibration"]]
    missing = [cell for cell in private if not _scored(cell) or cell["verified_upper"] is None]
    left_out = f" {len(missing)} of {len(private)} cells have no point; the tables say why." if missing else ""
    if absent := [facts["title"] for name, facts in results["experiments"].items() if name not in _drawn(results)]:
        left_out += f" Without scores: {plain_list(absent)}."
    return (
        f"Left: {_metrics(results)} against the claimed ε of the whole run (published accounting), for noises with "
        f"equal claimed ε of one step (written above){_hollow_left(results)}. Right: the same runs, and those at "
        "equal verified ε (hollow), against the verified ε of the whole gradient. Horizontal bars go from the "
        "verified lower to the verified upper bound; the marker is at the upper bound. Vertical bars: one standard "
        f"deviation over seeds; with fewer than {FEW_SEEDS} seeds every run is a dot. "
        f"{PRIVACY_UNIT[0].upper()}{PRIVACY_UNIT[1:]}.{left_out}"
    )


def _metrics(results: Mapping[str, Any]) -> str:
    return plain_list(list(dict.fromkeys(leading_metric(results, name).title for name in _drawn(results))), "or")


def _hollow_left(results: Mapping[str, Any]) -> str:
    calibrations = {
        name: {cell["calibration"] for cell in results["cells"] if cell["experiment"] == name}
        for name in _drawn(results)
    }
    return (
        ""
        if all("claimed" in found for found in calibrations.values())
        else "; hollow if an experiment has no such cells"
    )
