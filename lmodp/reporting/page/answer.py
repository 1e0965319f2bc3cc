"""The answer to the suite's question: three short paragraphs, computed from the numbers alone.

The question names two methods, those of ``compare`` in the configuration: the
published one and the standard it is compared with. If a grid lacks one of them, or a
score, the text says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmodp.reporting.formats import interval, number, plain_list
from lmodp.reporting.results.metrics import METRICS, Metric, leading_score

Cell = Mapping[str, Any]
Pair = tuple[Cell, Cell]


def question(results: Mapping[str, Any]) -> str:
    """Return the question that the report answers."""
    asked, standard = _titles(results)
    return (
        f"How useful is a model fine-tuned with {asked} noise, compared with {standard} noise, and what is its true "
        "privacy loss ε?"
    )


def answer(results: Mapping[str, Any]) -> list[str]:
    """Return the three paragraphs for the grid's first experiment.

    Args:
        results: content of ``results.json``.
    """
    experiment = next(iter(results["experiments"]))
    return [
        _at_equal_claims(pairs(results, experiment, "claimed"), results),
        _at_equal_verified(pairs(results, experiment, "verified"), results),
        _do_claims_hold(results, experiment),
    ]


def pairs(results: Mapping[str, Any], experiment: str, calibration: str) -> list[Pair]:
    """Return two cells per target, of the method asked about and of the standard, where both have a score."""
    asked, standard = results["compare"]["asked"], results["compare"]["standard"]
    found: dict[tuple[float, float], dict[str, Cell]] = {}
    for cell in results["cells"]:
        if (
            cell["experiment"] == experiment
            and cell["calibration"] == calibration
            and leading_score(cell)["mean"] is not None
        ):
            found.setdefault((cell["delta"], cell["epsilon"]), {})[cell["method"]] = cell
    return [(both[asked], both[standard]) for _, both in sorted(found.items()) if asked in both and standard in both]


def _titles(results: Mapping[str, Any]) -> tuple[str, str]:
    """The titles of the method asked about and of the standard; of one that the grid lacks, its name."""
    asked, standard = (
        results["methods"].get(results["compare"][part], {"title": results["compare"][part]})["title"]
        for part in ("asked", "standard")
    )
    return asked, standard


def _no_pair(of: str, results: Mapping[str, Any]) -> str:
    asked, standard = _titles(results)
    return f"At equal {of} ε, this grid has no target for which both {asked} and the {standard} have a score."


def _at_equal_claims(found: list[Pair], results: Mapping[str, Any]) -> str:
    if not found:
        return _no_pair("claimed", results)
    first, second = found[0][0]["method_title"], found[0][1]["method_title"]
    return (
        f"At equal claimed ε of one step, as published ({_targets(found)}), {first} reaches {_scores(found, 0)} "
        f"{_metric(found[0][0]).title} and the {second} {_scores(found, 1)}. The verified ε of the whole run is in "
        f"{_bounds(found, 0)} for {first} and in {_bounds(found, 1)} for the {second}. So at equal claims "
        f"{_equally_private(found)}."
    )


def _equally_private(found: list[Pair]) -> str:
    if any(cell[end] is None for pair in found for cell in pair for end in ("verified_lower", "verified_upper")):
        return "privacy cannot be compared at every target"
    apart = [pair for pair in found if pair[0]["verified_lower"] > pair[1]["verified_upper"]]
    below = [pair for pair in found if pair[0]["verified_upper"] < pair[1]["verified_lower"]]
    if len(apart) == len(found):
        return f"the two are not equally private: {found[0][0]['method_title']} spends more"
    if len(below) == len(found):
        return f"the two are not equally private: {found[0][0]['method_title']} spends less"
    if apart or below:
        return f"the two are not equally private at ε = {_numbers([pair[0]['epsilon'] for pair in apart + below])}"
    return "the verified intervals overlap: they do not show which of the two is more private"


def _at_equal_verified(found: list[Pair], results: Mapping[str, Any]) -> str:
    if not found:
        return _no_pair("verified", results)
    first, second = found[0][0]["method_title"], found[0][1]["method_title"]
    return (
        f"At equal verified ε of the whole run ({_targets(found)}), {first} reaches {_scores(found, 0)} and the "
        f"{second} {_scores(found, 1)}. The difference, {first} minus {second}, is "
        f"{plain_list([_difference(pair, results) for pair in found])}.{_verdict(found, results)}"
    )


def _difference(pair: Pair, results: Mapping[str, Any]) -> str:
    """The difference at one target, with its interval if there is one."""
    asked, standard = pair
    metric = _metric(asked)
    difference = metric.difference(leading_score(asked)["mean"] - leading_score(standard)["mean"])
    paired = find_paired(results, asked, standard)
    if paired is None or paired["lower"] is None:
        beside = f"{min(asked['runs_done'], standard['runs_done'])} seeds, too few for an interval"
    else:
        beside = f"95 % interval {metric.difference(paired['lower'])} to {metric.difference(paired['upper'])}"
    return f"{difference} {metric.unit} at ε = {asked['epsilon']:g} ({beside})"


def _verdict(found: list[Pair], results: Mapping[str, Any]) -> str:
    """Which of the intervals exclude zero."""
    compared = [(pair[0]["epsilon"], find_paired(results, *pair)) for pair in found]
    known = [(epsilon, paired) for epsilon, paired in compared if paired is not None and paired["lower"] is not None]
    apart = [epsilon for epsilon, paired in known if paired["separated"]]
    if not known:
        return ""
    if len(known) == 1:
        return f" The interval {'excludes' if apart else 'contains'} zero."
    if len(apart) == len(known):
        return " All these intervals exclude zero."
    if not apart:
        return " All these intervals contain zero."
    return (
        f" Only the interval{'s' if len(apart) > 1 else ''} at ε = {_numbers(apart)} "
        f"exclude{'' if len(apart) > 1 else 's'} zero."
    )


def find_paired(results: Mapping[str, Any], first: Cell, second: Cell) -> Mapping[str, Any] | None:
    """Return the paired comparison of two cells, if it was made in this order."""
    wanted = (first["cell"], second["cell"])
    return next((item for item in results["comparisons"] if (item["cell"], item["against_cell"]) == wanted), None)


def _do_claims_hold(results: Mapping[str, Any], experiment: str) -> str:
    """Compare the claims for a run with the verified intervals, for all noises of the method asked about."""
    asked, _ = _titles(results)
    cells = [
        cell for cell in _of_the_asked_noise(results, experiment) if cell["claimed_run"] and cell["verified_lower"]
    ]
    if not cells:
        return f"No claimed ε of {asked} noise could be compared with a verified interval."
    refuted = [cell for cell in cells if cell["claimed_run"] < cell["verified_lower"]]
    held = [cell for cell in cells if cell["verified_upper"] and cell["claimed_run"] >= cell["verified_upper"]]
    counted = f"{len(cells)} mechanisms with {asked} noise ({_counted(cells, results)})"
    if not refuted:
        rest = "" if len(held) == len(cells) else f", and inside the verified interval for {len(cells) - len(held)}"
        return f"The claimed ε of the run is at or above the verified upper bound for {len(held)} of {counted}{rest}."
    factors = [cell["verified_lower"] / cell["claimed_run"] for cell in refuted]
    by = number(min(factors), 2) if len(factors) == 1 else f"{number(min(factors), 2)} to {number(max(factors), 2)}"
    return (
        f"For {len(refuted)} of {counted}, the claimed ε of the run is below the verified lower bound, by a factor of "
        f"{by}. There the claim is not a valid guarantee for training, which releases a gradient of many coordinates "
        "over many steps."
    )


def _of_the_asked_noise(results: Mapping[str, Any], experiment: str) -> list[Cell]:
    """The claimed cells of the method asked about and of the methods that say they have its noise."""
    asked = results["compare"]["asked"]
    methods = {name for name, facts in results["methods"].items() if asked in (name, facts["noise_of"])}
    return [
        cell
        for cell in results["cells"]
        if cell["experiment"] == experiment and cell["calibration"] == "claimed" and cell["method"] in methods
    ]


def _counted(cells: Sequence[Cell], results: Mapping[str, Any]) -> str:
    """Return which mechanisms were counted: for each method its targets, and how many published points."""
    found = []
    for method in dict.fromkeys(cell["method"] for cell in cells):
        targets = [cell["epsilon"] for cell in cells if cell["method"] == method and cell["setting"] is None]
        points = sum(cell["method"] == method and cell["setting"] is not None for cell in cells)
        parts = [f"at ε = {_numbers(targets)}"] if targets else []
        parts += [f"at {points} published point{'s' if points > 1 else ''}"] if points else []
        found.append(f"{results['methods'][method]['title']} {plain_list(parts)}")
    return "; ".join(found)


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
