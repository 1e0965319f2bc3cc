"""The answer to the suite's question: three short paragraphs, computed from the records alone.

They say how much noise equal verified privacy takes, whether the published claims hold, and what this means for the
score. Two methods are compared, those of ``compare`` in the configuration: the published one and the standard. If a
grid lacks what a paragraph needs, the paragraph says so.
"""

import json
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from lmodp.data.cards import DATASETS
from lmodp.reporting.formats import as_written, at_least, at_most, interval, number, plain_list
from lmodp.reporting.results import against
from lmodp.reporting.results.against import Beside, Cell, epsilons, targets, title_of
from lmodp.reporting.results.metrics import leading_metric

PROOF = "docs/four_answers.md"  # of the least noise that a mixture of Laplaces needs
PROOF_HEADING = "Why the Gaussian wins in many dimensions"
MIXTURES = {"laplace_mixture", "laplace"}  # families to which the theorem applies
SIGNS = {"ε": "epsilon", "δ": "delta"}
WHERE = {"verified": "at equal verified ε", "claimed": "at equal claims"}
EQUAL = 1e-3  # relative, of two noises that a search cannot tell apart


def answer(results: Mapping[str, Any]) -> list[str]:
    """Return the three paragraphs for the first experiment of ``results.json``."""
    shown = as_written(results)
    experiment = next(iter(shown["experiments"]))
    return [_noise(shown, experiment), _claims(shown, experiment), _score(shown, experiment)]


def _of_asked(results: Mapping[str, Any], experiment: str, calibration: str) -> list[Cell]:
    """The cells of the method asked about, by target; its own published points are left out."""
    found = targets(results, experiment, calibration).values()
    return [cell for cells in found for cell in cells if cell["method"] == results["compare"]["asked"]]


def _noise(results: Mapping[str, Any], experiment: str) -> str:
    asked, standard = title_of(results, "asked"), title_of(results, "standard")
    ratios = Beside.of(results).ratios
    cells = _of_asked(results, experiment, "verified")
    known = [(cell, ratios[cell["cell"]]) for cell in cells if cell["cell"] in ratios]
    if not known:
        return f"At equal verified ε, this grid has no target for which the noise of {asked} and {standard} is known."
    told = [ratio for _, ratio in known]
    where = "; ".join(f"{sign} = {epsilons([cell[key] for cell, _ in known])}" for sign, key in SIGNS.items())
    less = ": less, never more" if max(told) < 1 else ""
    verdict = ": more, never less" if min(told) > 1 else less
    return (
        f"At equal verified ε, proven for the whole run ({where}), {asked} needs "
        f"{plain_list([number(ratio, 3) for ratio in told])} times "
        f"the {standard}'s noise{verdict}.{_published_shapes(results, [cell for cell, _ in known])}"
        f"{_least(results, known)}{_searched(results, experiment, ratios)}"
    )


def _published_shapes(results: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """At which ε nothing was published, and what the best of the published shapes would need there and elsewhere."""
    method = results["compare"]["asked"]
    points = [
        item
        for item in results["mechanisms"].values()
        if item["method"] == method and item["calibration"] == "claimed"
        if item["setting"] or item["published_epsilon_run"]
    ]
    below = [cell["epsilon"] for cell in cells if points and cell["epsilon"] < min(item["epsilon"] for item in points)]
    unknown = f" For ε = {epsilons(below)} it publishes no noise; that of its least ε is scaled." if below else ""
    found = [item["efficiency"] for item in points if item["efficiency"]]
    if not below or not found:
        return unknown
    least = f"{number(max(found) ** -0.5, 3)} times the {title_of(results, 'standard')}'s noise at every ε"
    return f"{unknown} The best of its published shapes would need {least}, in many dimensions."


def _least(results: Mapping[str, Any], known: Sequence[tuple[Cell, float]]) -> str:
    """The theorem for mixtures of Laplaces beside a Gaussian, and a warning if the records contradict it."""
    laws = [(results["mechanisms"].get(cell["mechanism"]) or {}).get("law") or {} for cell, _ in known]
    if not all(law.get("family") in MIXTURES for law in laws):
        return ""
    below = any(ratio < sqrt(2) * (1 - EQUAL) for _, ratio in known)
    return (
        f" In many dimensions no mixture of Laplaces can need less than √2 = 1.41 times a Gaussian's (proof: {PROOF})."
        f"{' These records are below: they are of few dimensions, or wrong.' if below else ''}"
    )


def _searched(results: Mapping[str, Any], experiment: str, ratios: Mapping[str, float]) -> str:
    """What a search for the best noise of this family found, beside a plain Laplace."""
    asked = results["compare"]["asked"]
    cells = [
        (cell, results["mechanisms"][cell["mechanism"]]["least_laplace"])
        for group in targets(results, experiment, "verified").values()
        for cell in group
        if results["methods"][cell["method"]]["noise_of"] == asked and cell["mechanism"] in results["mechanisms"]
    ]
    found = [(cell, cell["noise_multiplier"] / least) for cell, least in cells if least and cell["noise_multiplier"]]
    if not found:
        return ""
    shares = [share for _, share in found]
    if max(shares) <= 1 + EQUAL and min(shares) >= 1 - EQUAL:
        least = plain_list(list(dict.fromkeys(number(ratios.get(cell["cell"]), 3) for cell, _ in found)))
        return f" A search of the whole family under the verified bound ends at a plain Laplace ({least} times)."
    if min(shares) < 1 - EQUAL:
        return (
            " A search of the whole family under the verified bound finds noise with "
            f"{plain_list([number(share, 3) for share in shares])} times the standard deviation of a plain Laplace."
        )
    return " A search of the whole family under the verified bound finds nothing better than a plain Laplace."


def _claims(results: Mapping[str, Any], experiment: str) -> str:
    asked = title_of(results, "asked")
    found = [_published(results, cell, "asked") for cell in _of_asked(results, experiment, "claimed")]
    cells = [item for item in found if item and item["claimed_run"] and item["verified_lower"]]
    if not cells:
        return f"No published claim of {asked} could be compared with a verified interval."
    return (
        f"The published points of {asked} (ε = {epsilons([cell['epsilon'] for cell in cells])} for one step) claim ε = "
        f"{plain_list([number(cell['claimed_run'], 3) for cell in cells])} for the whole run. Verified is "
        f"{plain_list([interval(cell['verified_lower'], cell['verified_upper']) for cell in cells])}: "
        f"{_verdict_on_claims(cells)}.{_all_points(results, cells)}{_standard(results, cells)}"
    )


def _published(results: Mapping[str, Any], cell: Cell, part: str) -> Cell | None:
    """The mechanism of a method at a cell's target: where the grid certifies the same plan with the examples that
    tuning holds out as well, as it was published, the one with most examples."""
    own = results["mechanisms"].get(cell.get("mechanism"), cell)
    plan = ("calibration", "epsilon", "delta", "setting", "expected_batch_size", "steps")
    method, facts = results["compare"][part], next(iter(results["experiments"].values()))
    card = DATASETS.get(facts["dataset_name"])
    sizes = {own["dataset_size"], card.train_size if card else own["dataset_size"]}  # no other data set's plan
    alike = [
        item
        for item in results["mechanisms"].values()
        if item["method"] == method and item["dataset_size"] in sizes and all(item[name] == own[name] for name in plan)
    ]
    return max(alike, key=lambda item: float(item["dataset_size"]), default=None)


def _verdict_on_claims(cells: Sequence[Cell]) -> str:
    factors = [cell["verified_lower"] / cell["claimed_run"] for cell in cells]
    if broken := [factor for factor in factors if factor > 1]:
        by = " to ".join(dict.fromkeys(at_least(factor, 2) for factor in (min(broken), max(broken))))
        return f"{len(broken)} of {len(cells)} claims do not hold, by a factor of at least {by}"
    held = [against.claim_verdict(cell) for cell in cells].count("holds")
    return f"{held} of {len(cells)} claims hold{'' if held == len(cells) else ', the others are open'}"


def _all_points(results: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """How many claims do not hold among all published points of the method under the plan of these cells."""
    plan = ("method", "calibration", "delta", "dataset_size", "expected_batch_size", "steps")
    points = {  # some are published twice
        (json.dumps(item["law"]), item["claimed_run"]): item
        for item in results["mechanisms"].values()
        if all(item[name] == cells[0][name] for name in plan) and item["claimed_run"] and item["verified_lower"]
    }
    if len(points) <= len(cells):
        return ""
    broken = sum(item["claimed_run"] < item["verified_lower"] for item in points.values())
    return f" Of all {len(points)} published points under this plan, {broken} do not hold."


def _standard(results: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """Whether the standard with the same claims is as private, where it has an upper end."""
    beside = ((cell, _published(results, cell, "standard")) for cell in cells)
    pairs = [(cell, other) for cell, other in beside if other is not None and other["verified_upper"] is not None]
    if not pairs:
        return ""
    more = sum(cell["verified_lower"] > other["verified_upper"] for cell, other in pairs)
    told = f"spends more at {more} of {len(pairs)}" if more else "is not shown to spend more"
    most = plain_list([at_most(other["verified_upper"]) for _, other in pairs])
    return (
        f" The {title_of(results, 'standard')} with the same claims has a verified ε of at most {most}: "
        f"{title_of(results, 'asked')} {told}."
    )


def _score(results: Mapping[str, Any], experiment: str) -> str:
    pair = f"{title_of(results, 'asked')} minus {title_of(results, 'standard')}"
    metric = leading_metric(results, experiment).head(unit=False)
    told = [_contrast(results, experiment, kind) for kind in WHERE]
    return f"Mean difference in {metric}, {pair}: {'; '.join(told)}.{_one_rate(results, experiment)}"


def _contrast(results: Mapping[str, Any], experiment: str, calibration: str) -> str:
    item, where = against.contrast_of(results, experiment, calibration), WHERE[calibration]
    if item is None or item["difference"] is None:
        return f"{where}, no target has a score of both"
    verdict = against.score_verdict(item)
    judged = f"{title_of(results, 'asked')} is {verdict}" if verdict in ("higher", "lower") else verdict
    mean = "mean over " if len(set(item["epsilons"])) > 1 else ""
    return f"{where} ({mean}ε = {epsilons(item['epsilons'])}) {against.contrast_words(results, item)}, {judged}"


def _one_rate(results: Mapping[str, Any], experiment: str) -> str:
    """That the chance of chosen learning rates is not counted, and the contrasts where all methods have one rate."""
    if "learning_rate" not in results["experiments"][experiment]["searched"]:
        return ""
    chosen = " These are for learning rates that held-out examples chose, whose chance no interval counts."
    task = results["experiments"][experiment]["task"]
    for name, facts in results["experiments"].items():
        if facts["task"] == task and not facts["searched"] and not facts["learning_rates"]:
            known = [kind for kind in WHERE if against.contrast_of(results, name, kind) is not None]
            if known:
                told = [_contrast(results, name, kind) for kind in known]
                return f"{chosen} With one rate for all methods: {'; '.join(told)}."
    return chosen
