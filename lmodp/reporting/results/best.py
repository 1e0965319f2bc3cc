"""What to use at a verified ε: the method of the best mean score, task by task.

A task is what experiments share when they train the same part of the same model on the same examples, with plans of
their own. The best is read off the scored split, for which nothing is corrected; methods that cannot be told apart
from it, each by an interval of its own, are therefore named beside it.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from scipy.special import stdtrit

from lmodp.reporting.formats import plain_list
from lmodp.reporting.results.against import Cell, epsilons, title_of
from lmodp.reporting.results.metrics import CONFIDENCE, METRICS, at_chance, leading_score, reach


def tasks(results: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Return the cells with a verified ε and an interval by the first experiment of their task.

    Of the cells of a method at one target that several experiments have, the first counts. Tasks with fewer than two
    such methods are left out: they offer no choice.
    """
    found: dict[str, list[Cell]] = {}
    taken: set[tuple[Any, ...]] = set()
    for cell in results["cells"]:
        if cell["calibration"] == "verified" and cell["setting"] is None and cell["verified_upper"] is not None:
            task = results["experiments"][cell["experiment"]]["task"]
            target = (task, cell["method"], cell["epsilon"], cell["delta"])
            if reach(leading_score(cell)) is not None and target not in taken:
                taken.add(target)
                found.setdefault(task, []).append(cell)
    return {name: cells for name, cells in found.items() if len({cell["method"] for cell in cells}) > 1}


def best_by_epsilon(cells: Sequence[Cell]) -> dict[float, Cell]:
    """Return the cell of the best mean score at each verified ε, ascending."""
    found: dict[float, Cell] = {}
    for cell in sorted(cells, key=lambda cell: float(cell["epsilon"])):
        kept = found.setdefault(cell["epsilon"], cell)
        if _gain(cell, kept) > 0:
            found[cell["epsilon"]] = cell
    return found


def not_told_apart(best: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells at the same ε whose mean does not differ from the best by Welch's 95 % interval over seeds."""
    others = [cell for cell in cells if cell["epsilon"] == best["epsilon"] and cell is not best]
    return [cell for cell in others if _gain(best, cell) <= _welch(best, cell)]


def _gain(cell: Cell, other: Cell) -> float:
    sign = -1 if METRICS[cell["metric"]].lower_is_better else 1
    return float(sign * (leading_score(cell)["mean"] - leading_score(other)["mean"]))


def _welch(cell: Cell, other: Cell) -> float:
    """Half the width of Welch's interval of a difference of means."""
    runs = [len(leading_score(item)["values"]) for item in (cell, other)]
    parts = [leading_score(item)["spread"] ** 2 / count for item, count in zip((cell, other), runs, strict=True)]
    if not sum(parts):
        return 0.0
    freedom = sum(parts) ** 2 / sum(part**2 / (count - 1) for part, count in zip(parts, runs, strict=True))
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * sqrt(sum(parts))


def sentence(results: Mapping[str, Any], name: str, cells: Sequence[Cell]) -> str:
    """Return which method is best at each ε of a task, how far the method asked about is behind, and its equals."""
    best, metric = best_by_epsilon(cells), METRICS[cells[0]["metric"]]
    groups: dict[str, list[Cell]] = {}
    for cell in best.values():
        groups.setdefault(cell["method_title"], []).append(cell)
    told = [
        f"at ε = {epsilons([cell['epsilon'] for cell in group])} {title} "
        f"({plain_list([_text(results, cell) for cell in group])})"
        for title, group in groups.items()
    ]
    equal = {epsilon: [item["method_title"] for item in not_told_apart(cell, cells)] for epsilon, cell in best.items()}
    beside = [f"at ε = {epsilon:g} {plain_list(titles)}" for epsilon, titles in equal.items() if titles]
    apart = f"by {100 * CONFIDENCE:.0f} % intervals, each on its own"
    return (
        f"{results['experiments'][name]['title'][0].upper()}{results['experiments'][name]['title'][1:]}: best mean "
        f"{metric.head()}: {'; '.join(told)}.{_asked(results, cells, best)}"
        f"{f' Not told apart from the best ({apart}): ' + '; '.join(beside) + '.' if beside else ''}"
    )


def _text(results: Mapping[str, Any], cell: Cell) -> str:
    text = METRICS[cell["metric"]].text(leading_score(cell)["mean"])
    return f"{text}, at chance" if at_chance(results, cell) else text


def _asked(results: Mapping[str, Any], cells: Sequence[Cell], best: Mapping[float, Cell]) -> str:
    own = [cell for cell in cells if cell["method"] == results["compare"]["asked"]]
    behind = sorted((cell["epsilon"], _gain(best[cell["epsilon"]], cell)) for cell in own)
    if not behind:
        return ""
    metric = METRICS[cells[0]["metric"]]
    gaps = plain_list([f"{metric.factor * gap:.{metric.decimals}f}" for _, gap in behind])
    return f" {title_of(results, 'asked')} is {gaps} {metric.unit} behind at ε = {epsilons([at for at, _ in behind])}."
