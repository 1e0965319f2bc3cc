"""What to use at a verified ε: the scores of all methods of a task, with the best of each ε named."""

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmodp.reporting.figures import comparison
from lmodp.reporting.figures.style import INK, WIDTH, legend, looks, say
from lmodp.reporting.results.against import Cell
from lmodp.reporting.results.best import best_by_epsilon, sentence, tasks
from lmodp.reporting.results.metrics import METRICS, leading_score

ROOM = 0.5  # at the left, for the names of lines; a target is 1 wide


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return one panel per task; a score far worse than those of the compared methods is written at the edge."""
    found, look = tasks(results), looks(results["methods"])
    count = max(len(found), 1)
    figure, axes = plt.subplots(count, 1, figsize=(WIDTH, 3.6 * count), squeeze=False)
    if not found:
        say(axes[0][0], "no task has two methods\nwith enough seeds")
    drawn: set[str] = set()
    for panel, (name, cells) in zip(axes[:, 0], found.items(), strict=False):
        least = _least(cells, results)
        far = [cell for cell in cells if _worth(cell) < least]
        drawn |= comparison.draw_scores(panel, [cell for cell in cells if _worth(cell) >= least], results, look)
        best = best_by_epsilon(cells)
        panel.set_xlim(-0.5 - ROOM, len(best) - 0.5)
        comparison.share_scores([panel], results, name)
        panel.set_title(results["experiments"][name]["title"], fontsize=9)
        panel.set_xticks(range(len(best)), [f"{at:g}\n{fill(cell['method_title'], 24)}" for at, cell in best.items()])
        panel.set_xlabel("verified ε of the whole run, and the method of the best mean")
        for place, epsilon in enumerate(best):
            _write_at_the_edge(panel, place, [cell for cell in far if cell["epsilon"] == epsilon])
    legend(figure, comparison.entries(results, drawn, look), columns=4)
    return figure


def _worth(cell: Cell) -> float:
    metric = METRICS[cell["metric"]]
    return float((-1 if metric.lower_is_better else 1) * metric.factor * leading_score(cell)["mean"])


def _least(cells: Sequence[Cell], results: Mapping[str, Any]) -> float:
    """The worst score that the axis shows: as far below the compared methods' worst as the best is above it."""
    compared = [_worth(cell) for cell in cells if cell["method"] in results["compare"].values()]
    return 2 * min(compared) - max(map(_worth, cells)) if compared else -inf


def _write_at_the_edge(panel: Axes, place: float, cells: Sequence[Cell]) -> None:
    """Name the methods of one target that lie beyond the axis, with their scores."""
    for line, cell in enumerate(cells, 1):
        metric = METRICS[cell["metric"]]
        end, step, sign = (1, -18, "↑") if metric.lower_is_better else (0, 18, "↓")
        text = f"{cell['method_title']}\n{metric.text(leading_score(cell)['mean'])} {sign}"
        beside: dict[str, Any] = {"xytext": (0, step * (line - 0.3)), "textcoords": "offset points", "ha": "center"}
        panel.annotate(text, (place, end), xycoords=panel.get_xaxis_transform(), fontsize=7, color=INK, **beside)


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows, and one sentence a task."""
    return (
        "Scores at equal verified ε of all methods that have one, with 95 % intervals over seeds; the method of the "
        "best mean is named below each ε. It is read off the scored split, for which nothing is corrected. "
        + " ".join(sentence(results, name, cells) for name, cells in tasks(results).items())
    )
