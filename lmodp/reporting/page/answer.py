"""The answer in three sentences, from the numbers alone, whatever they say.

The question names two methods: the published one and the standard it is compared
with. Where a grid lacks one of them, or a score, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmodp.reporting.formats import interval, number, plain_list
from lmodp.reporting.results.metrics import METRICS, Metric, leading_score

ASKED, STANDARD = "lmo_dp", "gaussian"
QUESTION = "How useful is a model fine-tuned with LMO-DP noise compared with Gaussian noise, and which privacy loss ε truly holds for it?"
Cell = Mapping[str, Any]
Pair = tuple[Cell, Cell]


def answer(results: Mapping[str, Any]) -> list[str]:
    """Return the three sentences for the grid's first experiment.

    Args:
        results: content of ``results.json``.
    """
    experiment = next(iter(results["experiments"]))
    return [
        _at_equal_claims(pairs(results, experiment, "claimed")),
        _at_equal_verified(pairs(results, experiment, "verified"), results),
        _do_claims_hold(results, experiment),
    ]


def pairs(results: Mapping[str, Any], experiment: str, calibration: str) -> list[Pair]:
    """Return the asked method's cell and the standard's at every target where both have scores."""
    found: dict[tuple[float, float], dict[str, Cell]] = {}
    for cell in results["cells"]:
        if (
            cell["experiment"] == experiment
            and cell["calibration"] == calibration
            and leading_score(cell)["mean"] is not None
        ):
            found.setdefault((cell["delta"], cell["epsilon"]), {})[cell["method"]] = cell
    return [(both[ASKED], both[STANDARD]) for _, both in sorted(found.items()) if ASKED in both and STANDARD in both]


def _at_equal_claims(found: list[Pair]) -> str:
    if not found:
        return "At equal claimed ε this grid has no target at which both LMO-DP and the Gaussian have a score."
    first, second = found[0][0]["method_title"], found[0][1]["method_title"]
    return (
        f"Set to the same claimed ε of one step, as published ({_targets(found)}), {first} reaches {_scores(found, 0)} {_metric(found[0][0]).title} and the "
        f"{second} {_scores(found, 1)}; but what holds for the whole run is ε in {_bounds(found, 0)} for {first} and in "
        f"{_bounds(found, 1)} for the {second}, so at equal claims {_equally_private(found)}."
    )


def _equally_private(found: list[Pair]) -> str:
    if any(cell[end] is None for pair in found for cell in pair for end in ("verified_lower", "verified_upper")):
        return "no comparison of privacy is possible at every target"
    apart = [pair for pair in found if pair[0]["verified_lower"] > pair[1]["verified_upper"]]
    below = [pair for pair in found if pair[0]["verified_upper"] < pair[1]["verified_lower"]]
    if len(apart) == len(found):
        return f"the two are not equally private: {found[0][0]['method_title']} spends more"
    if len(below) == len(found):
        return f"the two are not equally private: {found[0][0]['method_title']} spends less"
    if apart or below:
        return f"the two are not equally private at ε = {_numbers([pair[0]['epsilon'] for pair in apart + below])}"
    return "the intervals do not tell them apart"


def _at_equal_verified(found: list[Pair], results: Mapping[str, Any]) -> str:
    if not found:
        return "At equal verified ε this grid has no target at which both LMO-DP and the Gaussian have a score."
    first, second = found[0][0]["method_title"], found[0][1]["method_title"]
    return (
        f"Set to the same verified ε of the whole run ({_targets(found)}), {first} reaches {_scores(found, 0)} and the {second} "
        f"{_scores(found, 1)}: {plain_list([_difference(pair, results) for pair in found])}."
    )


def _difference(pair: Pair, results: Mapping[str, Any]) -> str:
    """The verdict at one target, with its interval where there is one."""
    asked, standard = pair
    metric = _metric(asked)
    difference = metric.difference(leading_score(asked)["mean"] - leading_score(standard)["mean"])
    text = f"at ε = {asked['epsilon']:g} a difference of {difference} {metric.unit}"
    paired = find_paired(results, asked, standard)
    if paired is None or paired["lower"] is None:
        return f"{text} ({min(asked['runs_done'], standard['runs_done'])} seeds, too few for an interval)"
    verdict = "which separates them" if paired["separated"] else "which does not separate them"
    return f"{text} (95 % interval {metric.difference(paired['lower'])} to {metric.difference(paired['upper'])}), {verdict}"


def find_paired(results: Mapping[str, Any], first: Cell, second: Cell) -> Mapping[str, Any] | None:
    """Return the paired comparison of two cells, if it was made in this order."""
    wanted = (first["cell"], second["cell"])
    return next((item for item in results["comparisons"] if (item["cell"], item["against_cell"]) == wanted), None)


def _do_claims_hold(results: Mapping[str, Any], experiment: str) -> str:
    """Count claims of a run that lie below what is verified as a lower bound."""
    cells = [cell for cell in results["cells"] if cell["experiment"] == experiment and cell["calibration"] == "claimed"]
    asked = [
        cell for cell in cells if cell["method"].startswith(ASKED) and cell["claimed_run"] and cell["verified_lower"]
    ]
    if not asked:
        return "No claimed ε of LMO-DP noise could be compared with a verified one."
    refuted = [cell for cell in asked if cell["claimed_run"] < cell["verified_lower"]]
    held = [cell for cell in asked if cell["claimed_run"] >= cell["verified_upper"]]
    if not refuted:
        rest = "" if len(held) == len(asked) else f" and {len(asked) - len(held)} inside the interval"
        return f"The claimed ε of the run is at or above the verified upper bound in {len(held)} of {len(asked)} settings of LMO-DP noise{rest}."
    factors = [cell["verified_lower"] / cell["claimed_run"] for cell in refuted]
    by = number(min(factors), 2) if len(factors) == 1 else f"{number(min(factors), 2)} to {number(max(factors), 2)}"
    return (
        f"The claimed ε of the run lies below the verified lower bound in {len(refuted)} of {len(asked)} settings of LMO-DP noise "
        f"(by a factor of {by}), where it is therefore no bound for the mechanism as it is used, a gradient of many coordinates over many "
        "steps."
    )


def _targets(found: list[Pair]) -> str:
    return (
        f"ε = {_numbers([pair[0]['epsilon'] for pair in found])}, δ = {_numbers([pair[0]['delta'] for pair in found])}"
    )


def _numbers(values: list[float]) -> str:
    return plain_list([f"{value:g}" for value in dict.fromkeys(values)])


def _metric(cell: Cell) -> Metric:
    return METRICS[cell["metric"]]


def _scores(found: list[Pair], side: int) -> str:
    metric = _metric(found[0][side])
    return f"{plain_list([metric.text(leading_score(pair[side])['mean']) for pair in found])}{metric.sign}"


def _bounds(found: list[Pair], side: int) -> str:
    return plain_list([interval(pair[side]["verified_lower"], pair[side]["verified_upper"]) for pair in found])
