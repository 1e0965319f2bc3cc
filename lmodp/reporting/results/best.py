"""What to use at a verified ε: the method of the best mean score, task by task.

A task is what experiments share when they train the same part of the same model on the same examples, with plans of
their own. The best is read off the scored split, for which nothing is corrected. So the methods that paired
comparisons show to be worse are named beside it; all the others may be as good. Methods that are the same at a target
(banded noise of one band is the Gaussian) are one: the first in the order of the grid.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lmodp.reporting.formats import plain_list
from lmodp.reporting.results.against import Cell, epsilons, title_of
from lmodp.reporting.results.metrics import CONFIDENCE, METRICS, at_chance, leading_score, reach
from lmodp.reporting.results.paired import Answers, compare_pair, is_better

OF_METHOD = ("clipping", "after_noise", "trainable")  # what a method does beside its mechanism


def tasks(results: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Return the cells with a verified ε and an interval by the first experiment of their task.

    Of cells of one method, or of methods that are the same, at one target, the first counts, and of several δ the
    first. Tasks with fewer than two methods are left out: they offer no choice.
    """
    found: dict[str, list[Cell]] = {}
    taken: set[tuple[Any, ...]] = set()
    for cell in results["cells"]:
        if cell["calibration"] == "verified" and cell["setting"] is None and cell["verified_upper"] is not None:
            target = (results["experiments"][cell["experiment"]]["task"], cell["epsilon"], cell["delta"])
            known = {(*target, cell["method"]), (*target, _what_it_does(results, cell))}
            alike = found.get(target[0], [cell])[0]["delta"] == cell["delta"]
            if reach(leading_score(cell)) is not None and alike and not known & taken:
                taken |= known
                found.setdefault(target[0], []).append(cell)
    return {name: cells for name, cells in found.items() if len({cell["method"] for cell in cells}) > 1}


def _what_it_does(results: Mapping[str, Any], cell: Cell) -> str:
    """Noise, releases, clipping and what follows the noise, as text; a cell of its own where the noise is not known."""
    mechanism, method = results["mechanisms"].get(cell["mechanism"], {}), results["methods"][cell["method"]]
    if not mechanism.get("law"):
        return str(cell["cell"])
    facts = [mechanism["law"], mechanism.get("releases"), *(method.get(name) for name in OF_METHOD)]
    return json.dumps(facts, sort_keys=True)


def choices(results: Mapping[str, Any], answers: Answers) -> list[dict[str, Any]]:
    """Return, for each task and verified ε, the best cell and those that its paired intervals show to be worse.

    Since the scores choose the best, the intervals are adjusted for all pairs of methods at that ε.
    """
    found = []
    for task, cells in tasks(results).items():
        for epsilon, best in best_by_epsilon(cells).items():
            others = [cell for cell in cells if cell["epsilon"] == epsilon and cell is not best]
            count = (len(others) + 1) * len(others) // 2
            pairs = [compare_pair(best, other, answers, count) for other in others]
            worse = [item["against_cell"] for item in pairs if is_better(item, best["metric"])]
            found.append({"task": task, "epsilon": epsilon, "best": best["cell"], "worse": worse})
    return found


def best_by_epsilon(cells: Sequence[Cell]) -> dict[float, Cell]:
    """Return the cell of the best mean score at each verified ε, ascending."""
    found: dict[float, Cell] = {}
    for cell in sorted(cells, key=lambda cell: float(cell["epsilon"])):
        kept = found.setdefault(cell["epsilon"], cell)
        if _gain(cell, kept) > 0:
            found[cell["epsilon"]] = cell
    return found


def _gain(cell: Cell, other: Cell) -> float:
    sign = -1 if METRICS[cell["metric"]].lower_is_better else 1
    return float(sign * (leading_score(cell)["mean"] - leading_score(other)["mean"]))


def sentence(results: Mapping[str, Any], name: str, cells: Sequence[Cell]) -> str:
    """Return which method is best at each ε of a task, which are shown to be worse, and how the two compared differ."""
    best, metric = best_by_epsilon(cells), METRICS[cells[0]["metric"]]
    groups: dict[str, list[Cell]] = {}
    for cell in best.values():
        groups.setdefault(cell["method_title"], []).append(cell)
    told = [
        f"at ε = {epsilons([cell['epsilon'] for cell in group])} {_quoted(title)} "
        f"({plain_list([_text(results, cell) for cell in group])})"
        for title, group in groups.items()
    ]
    titles = {cell["cell"]: _quoted(cell["method_title"]) for cell in cells}
    worse = {item["epsilon"]: item["worse"] for item in results["choices"] if item["task"] == name}
    shown = [
        f"at ε = {epsilon:g} {plain_list([titles[cell] for cell in found])}"
        for epsilon, found in worse.items()
        if found
    ]
    by = f"by paired {100 * CONFIDENCE:.0f} % intervals, adjusted for all pairs of methods; the others may be as good"
    return (
        f"{results['experiments'][name]['title'][0].upper()}{results['experiments'][name]['title'][1:]}: best mean "
        f"{metric.head()}: {'; '.join(told)}. Shown to be worse ({by}): {'; '.join(shown) or 'none'}."
        f"{_asked(results, cells)}"
    )


def _quoted(title: str) -> str:
    return f"“{title}”" if "," in title else title


def _text(results: Mapping[str, Any], cell: Cell) -> str:
    text = METRICS[cell["metric"]].text(leading_score(cell)["mean"])
    return f"{text}, at chance" if at_chance(results, cell) else text


def _asked(results: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """How the method asked about differs from the standard, which no look at the scores has chosen."""
    of_part = {
        part: {cell["epsilon"]: cell for cell in cells if cell["method"] == results["compare"][part]}
        for part in ("asked", "standard")
    }
    both = sorted(of_part["asked"].keys() & of_part["standard"].keys())
    if not both:
        return ""
    metric, of_mean = (
        METRICS[cells[0]["metric"]],
        [[leading_score(of_part[part][at])["mean"] for at in both] for part in of_part],
    )
    told = plain_list([metric.difference(asked - standard) for asked, standard in zip(*of_mean, strict=True)])
    pair = f"{title_of(results, 'asked')} minus {title_of(results, 'standard')}"
    return f" {pair}: {told} {metric.unit} at ε = {epsilons(both)}."
