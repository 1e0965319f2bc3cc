"""Trade-off curves of the audit: what an observer achieved, against what the claim allows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit

from lmodp.auditing.bounds import claimed_tradeoff
from lmodp.reporting.captions import plan_of, plan_words
from lmodp.reporting.figures.style import FAINT, WIDTH, looks, say

COLUMNS = 6
NOTHING = "No audit of this grid gave a trade-off curve."


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one panel per audited mechanism, for the plan with most of them; without any, a panel that says so."""
    items = _drawn(results)
    if not items:
        figure, panel = plt.subplots(figsize=(WIDTH, 1))
        say(panel, NOTHING)
        return figure
    rows = ceil(len(items) / COLUMNS)
    size = (WIDTH, 1.75 * rows + 0.5)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=size, squeeze=False, sharex=True, sharey=True)
    for panel in axes.flat[len(items) :]:
        panel.set_visible(False)
    for panel, item in zip(axes.flat, items, strict=False):
        _draw_panel(panel, item, results)
    for panel in axes[:, 0]:
        panel.set_ylabel("missed detections")
    for panel in axes.flat[max(len(items) - COLUMNS, 0) : len(items)]:
        panel.set_xlabel("false alarms")
        panel.tick_params(labelbottom=True)
    return figure


def _audited(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item for item in results["mechanisms"].values() if item["audit_curve"]]


def _drawn(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The audited mechanisms of one plan; those of all plans would be too many panels with the same message."""
    items = _audited(results)
    plans = Counter(plan_of(item) for item in items)
    return [item for item in items if plan_of(item) == plans.most_common(1)[0][0]]


def _draw_panel(panel: Any, item: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    look = looks(results["methods"])[item["method"]]
    panel.plot([0, 1], [1, 0], color=FAINT, linewidth=1)
    if item["audit_claimed"] is not None:
        epsilon, delta = item["audit_claimed"], item["audited_delta"]
        false_alarms = np.array([0, (1 - delta) * expit(-epsilon), 1 - delta, 1])  # straight between these
        least = claimed_tradeoff(false_alarms, epsilon=epsilon, delta=delta)
        panel.fill_between(false_alarms, 0, least, color=FAINT, alpha=0.7, linewidth=0)
    curve = item["audit_curve"]
    panel.plot(curve["false_positive"], curve["false_negative"], color=look.colour, linestyle=look.dash)
    title = results["methods"][item["method"]]["title"] + (f" {item['setting']}" if item["setting"] else "")
    panel.set_title(f"{title},\n{item['calibration']} {item['epsilon']:g}", fontsize=7)
    panel.set_aspect("equal")


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows."""
    items = _audited(results)
    if not items:
        return NOTHING
    verdicts = [item["audited_refutes_claimed"] for item in items]
    tried = [verdict for verdict in verdicts if verdict is not None]
    drawn = _drawn(results)
    plan = f"the {len(drawn)} mechanisms of one plan ({plan_words(plan_of(drawn[0]))})"
    elsewhere = f" The figure shows {plan}; the privacy table has all." if len(drawn) < len(items) else ""
    untried = f"; {len(items) - len(tried)} more have no claim at this δ" if len(tried) < len(items) else ""
    return (
        "A test decides from the released sums whether one example was in the data. Curve: its share of missed "
        "detections against its share of false alarms. Grey area: forbidden by the claimed ε of the run at the δ "
        f"that the trials resolve. A curve has no confidence of its own; what refutes a claim is the bound. "
        f"{sum(tried)} of {len(tried)} claims are refuted, each by its own test at the audit's "
        f"confidence{untried}.{elsewhere}"
    )
