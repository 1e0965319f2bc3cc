"""The main figure: how much noise equal privacy takes, how far each claim moves, and what it means for the score.

It shows the grid's first experiment and the two methods that are compared, where seeds are enough for an interval. All
other scores are in the figure ``demonstration``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lmodp.reporting.captions import PRIVACY_UNIT
from lmodp.reporting.figures.style import HALO, INK, WIDTH, Look, beyond, inside, legend, log_axis, looks, say
from lmodp.reporting.results.against import Beside, Cell, targets, title_of
from lmodp.reporting.results.metrics import FEWEST_SEEDS, METRICS, leading_metric, leading_score, reach, reference_cell

LEAST_NOISE = 2**0.5  # of a mixture of Laplaces in many dimensions, × Gaussian
GROUP = 0.7  # of the room of a target, for the marks of its methods
FAR_BELOW = 0.6  # of the scores' range
LETTER, MARK = 3.6, 6  # points, the mean width of a letter in a line's name and of a mark
ENDS = ("claimed_run", "verified_lower", "verified_upper")
STRONG, WEAK = 1.0, 0.45  # of the two methods that are compared, and of all others


def draw(results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]]) -> Figure:
    """Return three panels, one per paragraph of the answer."""
    name, look = first_experiment(results), looks(results["methods"])
    figure, (noise, claims, scores) = plt.subplots(1, 3, figsize=(WIDTH, 4.2), width_ratios=(3, 4, 4))
    cells = main_cells(results)
    drawn = _draw_noise(noise, results, name, look)
    drawn |= draw_claims(claims, [cell for cell in cells if cell["calibration"] == "claimed"], results, look)
    drawn |= draw_scores(scores, [cell for cell in cells if cell["calibration"] == "verified"], results, look)
    share_scores([claims, scores], results, name)
    noise.set_title("1  Noise at equal verified ε")
    claims.set_title("2  From claimed to verified ε")
    scores.set_title("3  Score at equal verified ε")
    legend(figure, entries(results, drawn, look), columns=4)
    return figure


def first_experiment(results: Mapping[str, Any]) -> str:
    """Return the experiment of the main figure and of the answer."""
    return next(iter(results["experiments"]))


def main_cells(results: Mapping[str, Any]) -> list[Cell]:
    """Return the cells whose scores the main figure shows: of the two methods that are compared, with an interval."""
    compared, cells = results["compare"].values(), private_cells(results, first_experiment(results))
    cells = [cell for cell in cells if cell["method"] in compared and cell["setting"] is None]
    return [cell for cell in cells if reach(leading_score(cell)) is not None]


def private_cells(results: Mapping[str, Any], name: str) -> list[Cell]:
    """Return an experiment's private cells that have a main score."""
    cells = [cell for cell in results["cells"] if cell["experiment"] == name and cell["calibration"]]
    return [cell for cell in cells if leading_score(cell)["mean"] is not None]


def _draw_noise(panel: Axes, results: Mapping[str, Any], name: str, look: Mapping[str, Look]) -> set[str]:
    """The noise ratio of every method at every target, on equal verified ε."""
    standard, ratios = results["compare"]["standard"], Beside.of(results).ratios
    known = {
        epsilon: [(x, ratios[x["cell"]]) for x in cells if x["method"] != standard and x["cell"] in ratios]
        for (_, epsilon), cells in targets(results, name, "verified").items()
    }
    if not any(known.values()):
        say(panel, "no noise ratio is known")
        return set()
    methods = methods_of([cell for cells in known.values() for cell, _ in cells], results)
    for place, cells in enumerate(known.values()):
        for cell, ratio in cells:
            _mark(panel, place + offset(cell, methods), inside(ratio), cell, results, look)
    _name_line(panel, 1.0, title_of(results, "standard"))
    _name_line(panel, LEAST_NOISE, "√2: least of any\nmixture of Laplaces", dashed=True, below=True)
    _target_axis(panel, list(known))
    panel.set_ylabel(f"noise, × {title_of(results, 'standard')}")
    return set(methods)


def draw_claims(panel: Axes, cells: Sequence[Cell], results: Mapping[str, Any], look: Mapping[str, Look]) -> set[str]:
    """Draw each setting's claim (hollow) joined to its verified interval (bar, with a full mark at the upper end)."""
    shown = [cell for cell in cells if cell["claimed_run"] is not None and cell["verified_upper"] is not None]
    if not shown:
        say(panel, "no cell has a claim, a verified ε\nand enough seeds")
        return set()
    for cell in sorted(shown, key=lambda cell: _strength(cell, results)):
        claimed, lower, upper = (inside(cell[end] or 0.0) for end in ENDS)
        height, colour, strength = _score(cell), look[cell["method"]].colour, _strength(cell, results)
        panel.plot([claimed, upper], [height] * 2, color=colour, linewidth=0.9, alpha=0.8 * strength, zorder=2)
        panel.plot([lower, upper], [height] * 2, color=colour, linewidth=5, alpha=0.4 * strength, solid_capstyle="butt")
        _mark(panel, claimed, height, cell, results, look, hollow=True)
        _mark(panel, upper, height, cell, results, look)
        if strength == STRONG and cell["claimed_step"] is not None:
            place, side = ((-6, -1), "right") if upper > claimed else ((5, -7), "left")
            beside: dict[str, Any] = {"xytext": place, "textcoords": "offset points", "ha": side, "va": "center"}
            panel.annotate(f"{cell['epsilon']:g}", (claimed, height), fontsize=7, **beside, **HALO)
    panel.margins(x=0.12)
    log_axis(panel.xaxis)
    panel.grid(axis="x", visible=False)
    panel.set_xlabel("ε of the whole run: claimed ○ to verified ●")
    return {cell["method"] for cell in shown}


def claims_beyond(cells: Sequence[Cell]) -> str:
    """Return a sentence on the values of `draw_claims` that no axis can show, if there are any."""
    return beyond(cell[end] for cell in cells if cell["calibration"] == "claimed" for end in ENDS)


def draw_scores(panel: Axes, cells: Sequence[Cell], results: Mapping[str, Any], look: Mapping[str, Look]) -> set[str]:
    """Draw the scores at each target: the mean with its interval, or every run where seeds are few."""
    if not cells:
        say(panel, "no cell at equal verified ε\nhas enough seeds")
        return set()
    places = {epsilon: place for place, epsilon in enumerate(sorted({cell["epsilon"] for cell in cells}))}
    methods = methods_of(cells, results)
    for cell in cells:
        x, score, factor = places[cell["epsilon"]] + offset(cell, methods), leading_score(cell), _factor(cell)
        colour, half = look[cell["method"]].colour, reach(score)
        if half is None:
            values = [factor * value for value in score["values"]]
            panel.scatter([x] * len(values), values, s=8, color=colour, alpha=0.7, linewidths=0)
        else:
            panel.errorbar(x, _score(cell), yerr=factor * half, color=colour, linewidth=1.2, capsize=2)
        _mark(panel, x, _score(cell), cell, results, look)
    _target_axis(panel, list(places))
    return set(methods)


def share_scores(every: Sequence[Axes], results: Mapping[str, Any], name: str) -> None:
    """Give neighbouring panels of scores one axis, with named reference lines."""
    panels = [panel for panel in every if panel.axison]
    if not panels:
        return
    low = min(panel.get_ylim()[0] for panel in panels)
    high = max(panel.get_ylim()[1] for panel in panels)
    values = _reference_values(results, name)
    inner = [value for value in values.values() if value >= low - FAR_BELOW * (high - low)]
    low, high = min([low, *inner]), max([high, *inner])
    for panel in panels:
        panel.set_ylim(low - 0.1 * (high - low), high + 0.08 * (high - low))
    for number, (label, value) in enumerate(values.items()):
        for panel in panels if value in inner else ():
            text = f"{label} {value:.1f}" if panel is panels[-1] else ""
            _name_line(panel, value, text, dashed=number > 0, **_freest(panel, value, text))
        if value not in inner:
            text = f"{label} {value:.1f}, below the axis"
            panels[-1].annotate(text, (1, 0), xycoords="axes fraction", ha="right", va="bottom", fontsize=7.5)
    facts = results["experiments"][name]
    panels[0].set_ylabel(leading_metric(results, name).head(f" on {facts['evaluation_split']}"))
    for panel in panels[1:]:
        panel.set_yticklabels([])


def _freest(panel: Axes, height: float, text: str) -> dict[str, bool]:
    """Return where a text on a line at this height covers the fewest marks: its end, and the side of the line."""
    marks = np.concatenate([line.get_xydata() for line in panel.lines if line.get_marker() not in (None, "None", "")])
    line = (panel.get_xlim()[0], height)
    across, up = (panel.transData + panel.transAxes.inverted()).transform([line, *marks]).T
    width = (LETTER * len(text) + MARK) * panel.figure.dpi / 72 / panel.get_window_extent().width

    def covered(left: bool, below: bool) -> int:
        beside, over = (across if left else 1 - across), (up[0] - up if below else up - up[0])
        return int(((beside < width) & (over > -0.03) & (over < 0.1))[1:].sum())

    places = [{"left": left, "below": below} for below in (False, True) for left in (True, False)]
    return min(places, key=lambda place: covered(**place))


def _reference_values(results: Mapping[str, Any], name: str) -> dict[str, float]:
    """The reference scores: non-private training and, for accuracy, the majority class."""
    metric, majority = leading_metric(results, name), results["experiments"][name]["majority_accuracy"]
    labels = {"non-private": True, "prompt, ε = 0": False}
    cells = {label: reference_cell(results, name, trained=trained) for label, trained in labels.items()}
    known = {label: cell for label, cell in cells.items() if cell and leading_score(cell)["mean"] is not None}
    found = {label: _score(cell) for label, cell in known.items()}
    if majority is not None and metric.name == "accuracy":
        found["majority class"] = metric.factor * majority
    return found


def _name_line(
    panel: Axes, height: float, text: str, *, dashed: bool = False, below: bool = False, left: bool = False
) -> None:
    panel.axhline(height, color=INK, linewidth=0.9, linestyle=(0, (4, 3)) if dashed else "-", zorder=1)
    (up, side), (at, along, end) = (-8, "top") if below else (2, "bottom"), (0, 2, "left") if left else (1, -2, "right")
    beside: dict[str, Any] = {"xytext": (along, up), "textcoords": "offset points", "ha": end, "va": side}
    beside |= {"fontsize": 7.5, "color": INK, **HALO}
    panel.annotate(text, (at, height), xycoords=panel.get_yaxis_transform(), **beside)


def _mark(
    panel: Axes,
    x: float,
    y: float,
    cell: Cell,
    results: Mapping[str, Any],
    look: Mapping[str, Look],
    *,
    hollow: bool = False,
) -> None:
    item, strength = look[cell["method"]], _strength(cell, results)
    fill, size = "white" if hollow else item.colour, 6.5 if strength == STRONG else 5
    alpha, above = min(1.0, strength + 0.25), 3 + strength
    panel.plot(x, y, item.marker, ms=size, mfc=fill, mec=item.colour, mew=1.2, alpha=alpha, zorder=above)


def _strength(cell: Cell, results: Mapping[str, Any]) -> float:
    return STRONG if cell["method"] in results["compare"].values() else WEAK


def _score(cell: Cell) -> float:
    """A cell's mean main score in the unit of the axis: accuracy in percent."""
    return _factor(cell) * float(leading_score(cell)["mean"])


def _factor(cell: Cell) -> float:
    return METRICS[cell["metric"]].factor


def methods_of(cells: Sequence[Cell], results: Mapping[str, Any]) -> list[str]:
    """Return the methods of some cells in the order of the grid."""
    found = {cell["method"] for cell in cells}
    return [name for name in results["methods"] if name in found]


def offset(cell: Cell, methods: Sequence[str]) -> float:
    """Where a method stands in the room of a target, so that methods do not cover each other."""
    return GROUP * ((methods.index(cell["method"]) + 0.5) / len(methods) - 0.5)


def _target_axis(panel: Axes, epsilons: Sequence[float]) -> None:
    panel.set_xticks(range(len(epsilons)), [f"{epsilon:g}" for epsilon in epsilons])
    panel.set_xlim(-0.5, len(epsilons) - 0.5)
    panel.set_xlabel("verified ε of the whole run")
    panel.grid(axis="x", visible=False)


def entries(results: Mapping[str, Any], drawn: set[str], look: Mapping[str, Look]) -> list[tuple[str, Line2D]]:
    """Return the legend's entries: the methods that are drawn, in the order of the grid."""
    found = []
    for name in (name for name in results["methods"] if name in drawn):
        mark = Line2D([], [], color=look[name].colour, marker=look[name].marker, linestyle="none")
        found.append((results["methods"][name]["title"], mark))
    return found


def caption(results: Mapping[str, Any]) -> str:
    """Return what the figure shows and what it leaves out."""
    name = first_experiment(results)
    return (
        f"{results['experiments'][name]['title']}; {leading_metric(results, name).title}. 1: noise multiplier over the "
        f"{title_of(results, 'standard')}'s, when every noise is scaled to the same verified ε of the whole run; √2 is "
        "the least of a mixture of Laplaces in many dimensions. 2: each pair of marks is one setting, named by the "
        "claimed ε of one step: hollow at the ε that is claimed for the run, full at the upper end of the verified "
        "interval (bar). 3: vertical bars are 95 % intervals over seeds. Panels 2 and 3 show the two methods that are "
        f"compared, with at least {FEWEST_SEEDS} seeds.{claims_beyond(main_cells(results))} "
        f"{PRIVACY_UNIT[0].upper()}{PRIVACY_UNIT[1:]}."
    )
