"""The epsilon of every mechanism on one axis: claimed, paper's bound, verified interval, audited bound."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lmodp.reporting.captions import PRIVACY_UNIT, plan_of, plan_words
from lmodp.reporting.figures.style import GREY, INK, WIDTH, Look, beyond, inside, legend, log_axis, looks

MARKS = {
    "claimed_run": ("o", "white", "claimed, run"),
    "paper_bound_run": ("s", "white", "paper's bound, run (one number)"),
    "audited_lower": ("|", INK, "audited lower bound, run"),
}

ENDS = ("verified_lower", "verified_upper")
ROW_HEIGHT = 0.2


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one panel per plan with one row per mechanism, ordered as in the privacy table."""
    plans = [list(items) for _, items in groupby(_ordered(results), key=plan_of)] or [[]]
    rows = [max(len(items), 1) for items in plans]
    size, ratios = (WIDTH, ROW_HEIGHT * sum(rows) + 0.75 * len(plans) + 0.7), [count + 1 for count in rows]
    figure, axes = plt.subplots(len(plans), 1, figsize=size, sharex=True, squeeze=False, height_ratios=ratios)
    look = looks(results["methods"])
    for panel, items in zip(axes[:, 0], plans, strict=True):
        for row, item in enumerate(items):
            _draw_row(panel, row, item, look[item["method"]])
        panel.set_yticks(range(len(items)), [_label(item, results) for item in items], fontsize=8)
        panel.set_ylim(len(items) - 0.4, -0.6)
        panel.set_title(plan_words(plan_of(items[0])) if items else "", loc="left", fontsize=9)
        panel.tick_params(labelbottom=True)
    log_axis(axes[-1, 0].xaxis)
    axes[-1, 0].set_xlabel("ε of the whole run")
    legend(figure, _legend(), columns=4)
    return figure


def _ordered(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    private = (item for item in results["mechanisms"].values() if item["calibration"] is not None)
    items = [item for item in private if item["status"] == "done"]
    return sorted(items, key=lambda item: (plan_of(item), item["calibration"], item["epsilon"]))


def _label(item: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    setting = f" {item['setting']}" if item["setting"] else ""
    return f"{results['methods'][item['method']]['title']}{setting}, {item['calibration']} {item['epsilon']:g}"


def _draw_row(panel: Axes, row: int, item: Mapping[str, Any], look: Look) -> None:
    if item["verified_upper"] is not None:
        upper = inside(item["verified_upper"])
        ends = [inside(item["verified_lower"] or 0.0), upper]
        bar: dict[str, Any] = {"linewidth": 6, "alpha": 0.35, "solid_capstyle": "butt"}
        panel.plot(ends, [row, row], color=look.colour, zorder=2, **bar)
        panel.plot(upper, row, marker="D", color=look.colour, markersize=5, zorder=4)
    for name, (marker, face, _) in MARKS.items():
        if item[name] is not None and (item[name] or name != "audited_lower"):  # an audit's 0 says nothing
            edge, size = (1.6, 9) if marker == "|" else (1, 5.5)
            panel.plot(inside(item[name]), row, marker, mfc=face, mec=INK, mew=edge, ms=size, zorder=3)


def _legend() -> list[tuple[str, Line2D]]:
    handles = [
        (label, Line2D([], [], marker=marker, markerfacecolor=face, markeredgecolor=INK, linestyle="none"))
        for marker, face, label in MARKS.values()
    ]
    bar = Line2D([], [], marker="D", color=GREY, linewidth=5, alpha=0.6)
    return [*handles, ("verified lower to upper (marker)", bar)]


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows and what it leaves out."""
    items = _ordered(results)
    confidence = sorted({item["audited_confidence"] for item in items if item["audited_confidence"]})
    audited = " No audit was made."
    if confidence:
        audited = f" Audited: a lower bound from samples, each at {100 * confidence[0]:g} % confidence."
    missing = sum(item["verified_upper"] is None for item in items)
    left_out = f" {missing} mechanisms have no finite verified ε; the privacy table says why." if missing else ""
    return (
        "ε of the whole run, for every mechanism of the grid. Claimed: the published accounting. Paper's bound: the "
        "published bound at valid orders, for one number. Verified: for the whole gradient; the marker at the upper "
        f"end is the ε you may state.{audited} {PRIVACY_UNIT[0].upper()}{PRIVACY_UNIT[1:]}.{left_out}"
        f"{beyond(item[name] for item in items for name in (*ENDS, 'claimed_run', 'paper_bound_run'))}"
    )
