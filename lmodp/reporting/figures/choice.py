"""What to use at a verified ε: the scores of all methods of a task, with the best of each ε named."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lmodp.reporting.figures import comparison
from lmodp.reporting.figures.style import INK, WIDTH, legend, looks, say
from lmodp.reporting.results.best import best_by_epsilon, sentence, tasks
from lmodp.reporting.results.metrics import METRICS, leading_score


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one panel per task."""
    found, look = tasks(results), looks(results["methods"])
    figure, axes = plt.subplots(1, max(len(found), 1), figsize=(WIDTH, 4.4), squeeze=False)
    if not found:
        say(axes[0][0], "no task has two methods\nwith enough seeds")
    drawn: set[str] = set()
    for panel, (name, cells) in zip(axes[0], found.items(), strict=False):
        drawn |= comparison.draw_scores(panel, cells, results, look)
        comparison.share_scores([panel], results, name)
        panel.set_title(fill(results["experiments"][name]["title"], 48), fontsize=9)
        for place, cell in enumerate(best_by_epsilon(cells).values()):
            height = METRICS[cell["metric"]].factor * leading_score(cell)["mean"]
            at = place + comparison.offset(cell, comparison.methods_of(cells, results))
            beside: dict[str, Any] = {"xytext": (-5, 3), "textcoords": "offset points", "ha": "right", "va": "bottom"}
            panel.annotate(fill(cell["method_title"], 14), (at, height), fontsize=7, color=INK, **beside)
    legend(figure, comparison.entries(results, drawn, look), columns=4)
    return figure


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows, and one sentence a task."""
    return (
        "Scores at equal verified ε of all methods that have one, with 95 % intervals over seeds; the best mean of "
        "each ε is named. It is read off the scored split, for which nothing is corrected. "
        + " ".join(sentence(results, name, cells) for name, cells in tasks(results).items())
    )
