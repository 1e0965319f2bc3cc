"""A cell beside the standard: noise ratio, paired difference, pooled contrast, and the words for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lmodp.reporting.formats import at_least, plain_list
from lmodp.reporting.results.metrics import METRICS, at_chance

Cell = Mapping[str, Any]
NO_DIFFERENCE, FEW_SEEDS = "no difference shown", "too few seeds"


def title_of(results: Mapping[str, Any], part: str) -> str:
    """Return the title of the method ``asked`` about or of the ``standard``; of one that the grid lacks, its name."""
    name: str = results["compare"][part]
    return results["methods"].get(name, {"title": name})["title"]


def targets(results: Mapping[str, Any], experiment: str, calibration: str) -> dict[tuple[float, float], list[Cell]]:
    """Return an experiment's cells by (δ, ε), ascending; the methods' own published points are left out."""
    found: dict[tuple[float, float], list[Cell]] = {}
    for cell in results["cells"]:
        if (cell["experiment"], cell["calibration"], cell["setting"]) == (experiment, calibration, None):
            found.setdefault((cell["delta"], cell["epsilon"]), []).append(cell)
    return dict(sorted(found.items()))


def lender(results: Mapping[str, Any], experiment: str) -> str:
    """Return the experiment whose standard an experiment is compared with: itself, unless only its task has one."""
    standard = results["compare"]["standard"]
    known = {cell["experiment"] for cell in results["cells"] if cell["method"] == standard}
    task: str = results["experiments"][experiment]["task"]
    return task if experiment not in known and task in known else experiment


@dataclass(frozen=True)
class Beside:
    """What the cells stand beside, by cell: read once, since a grid may have ten thousand.

    Args:
        standards: the standard's cell at a cell's target, if there is one.
        differences: the paired comparison with it.
        ratios: noise multiplier over the standard's, if one scale tells what the noise does. It does not where a step
            releases something else than the sum of gradients, the noise changes or is correlated, or rate and steps are
            not the standard's.
    """

    standards: Mapping[str, Cell]
    differences: Mapping[str, Mapping[str, Any]]
    ratios: Mapping[str, float]

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Self:
        """Return what the cells of ``results.json`` stand beside."""
        name, lenders = results["compare"]["standard"], {item: lender(results, item) for item in results["experiments"]}
        known = (cell for cell in results["cells"] if cell["method"] == name and cell["setting"] is None)
        own = {_target(cell, cell["experiment"]): cell for cell in known}
        pairs = ((cell, own.get(_target(cell, lenders[cell["experiment"]]))) for cell in results["cells"])
        standards = {cell["cell"]: standard for cell, standard in pairs if standard is not None}
        ratios = ((cell["cell"], _ratio(cell, standards.get(cell["cell"]), results)) for cell in results["cells"])
        return cls(
            standards,
            {item["cell"]: item for item in results["comparisons"] if item["against"] == name},
            {cell: ratio for cell, ratio in ratios if ratio is not None},
        )


def _target(cell: Cell, experiment: str) -> tuple[Any, ...]:
    return (experiment, *(cell[name] for name in ("calibration", "delta", "epsilon")))


def _ratio(cell: Cell, standard: Cell | None, results: Mapping[str, Any]) -> float | None:
    own, other = (results["mechanisms"].get(item and item["mechanism"], {}) for item in (cell, standard))
    plans = [[known.get(name) for name in ("dataset_size", "expected_batch_size", "steps")] for known in (own, other)]
    changed = own.get("releases", {}).keys() & {"step", "schedule", "correlation"}
    if standard is None or changed or plans[0] != plans[1]:
        return None
    size, least = cell["noise_multiplier"], standard["noise_multiplier"]
    return float(size / least) if size and least else None


def contrast_of(results: Mapping[str, Any], experiment: str, calibration: str) -> Mapping[str, Any] | None:
    """Return the pooled contrast of an experiment under one calibration."""
    wanted = (experiment, calibration)
    return next((item for item in results["contrasts"] if (item["experiment"], item["calibration"]) == wanted), None)


def score_verdict(item: Mapping[str, Any] | None) -> str:
    """Return what a comparison or contrast shows: ``higher``, ``lower``, `NO_DIFFERENCE` or `FEW_SEEDS`."""
    if item is None or item["lower"] is None or item["upper"] is None:
        return FEW_SEEDS
    return "higher" if item["lower"] > 0 else "lower" if item["upper"] < 0 else NO_DIFFERENCE


def contrast_words(results: Mapping[str, Any], item: Mapping[str, Any], *, decimals: int = 2) -> str:
    """Return a pooled contrast as ``-0.38 points [-0.81, +0.04] (95 %, 10 seeds, 872 examples)``."""
    metric = METRICS[results["experiments"][item["experiment"]]["metrics"][0]]
    told = f"{metric.difference(item['difference'], decimals)} {metric.unit}"
    seeds, failed = f"{item['seeds']} seed{'s' if item['seeds'] != 1 else ''}", _failed(results, item)
    if item["lower"] is None:
        return f"{told} ({seeds}{failed})"
    ends = f"[{metric.lower_end(item['lower'], decimals)}, {metric.upper_end(item['upper'], decimals)}]"
    examples = f", {item['examples']:,} examples" if item["examples"] > 1 else ""
    return f"{told} {ends} ({100 * item['confidence']:g} %, {seeds}{examples}{failed})"


def _failed(results: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """Which cells of a pooled contrast are at chance: ``; at chance: Gaussian at ε = 0.3``."""
    places, compared = (item["experiment"], lender(results, item["experiment"])), results["compare"].values()
    found: dict[str, list[float]] = {}
    for cell in results["cells"]:
        part = cell["setting"] is None and cell["calibration"] == item["calibration"] and cell["method"] in compared
        if part and cell["experiment"] in places and cell["epsilon"] in item["epsilons"] and at_chance(results, cell):
            found.setdefault(cell["method_title"], []).append(cell["epsilon"])
    told = [f"{title} at ε = {epsilons(values)}" for title, values in found.items()]
    return f"; at chance: {plain_list(told)}" if told else ""


def claim_verdict(cell: Cell) -> str:
    """Return the verdict on a run's claim: ``does not hold``, ``holds``, ``open`` or ``no claim``."""
    claimed, lower, upper = (cell[name] for name in ("claimed_run", "verified_lower", "verified_upper"))
    if claimed is None:
        return "no claim"
    if lower is not None and claimed < lower:
        return f"does not hold, × {at_least(lower / claimed, 2)}" if claimed > 0 else "does not hold"
    return "holds" if upper is not None and claimed >= upper else "open"


def epsilons(values: list[float]) -> str:
    """Return ``0.3, 0.7 and 2``, each once."""
    return plain_list([f"{value:g}" for value in dict.fromkeys(values)])
