"""Two results folders of the same grid, compared cell by cell.

Privacy answers are computed, so they must agree to rounding. Scores are random, so
they must agree within the seeds' spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, isclose, sqrt
from typing import Any

from lmodp.reporting.formats import number, percent

ANSWERS = ("claimed_step", "claimed_run", "pure_scalar_step", "theorem_step", "theorem_run", "verified_lower", "verified_upper", "noise_std",
           "sigma_effective")  # fmt: skip
RELATIVE = 1e-6  # of computed numbers: other processors and library versions round differently
STANDARD_ERRORS = 3.0  # of scores; by chance, about three cells in a thousand lie beyond


def compare_results(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a verdict for every cell of either folder: ``cell``, ``differs`` and ``text``.

    Args:
        first, second: contents of two ``results.json``.
    """
    left, right = ({cell["cell"]: cell for cell in results["cells"]} for results in (first, second))
    return [_compare(name, left.get(name), right.get(name)) for name in dict.fromkeys([*left, *right])]


def _compare(name: str, first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> dict[str, Any]:
    if first is None or second is None:
        return {"cell": name, "differs": True, "text": f"only in the {'first' if second is None else 'second'} folder"}
    if first["status"] != second["status"]:
        return {"cell": name, "differs": True, "text": f"{first['status']} against {second['status']} ({first['reason'] or second['reason']})"}
    answers = [_answer(key, first[key], second[key]) for key in ANSWERS if not _same(first[key], second[key])]
    apart, score = _scores(first, second)
    return {"cell": name, "differs": bool(answers) or apart, "text": "; ".join([*answers, score])}


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return isclose(first, second, rel_tol=RELATIVE)


def _answer(key: str, first: float | None, second: float | None) -> str:
    return f"{key} {number(first, 8)} against {number(second, 8)}"


def _scores(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether two means lie further apart than chance, and in words."""
    if first["accuracy"] is None or second["accuracy"] is None:
        return (first["accuracy"] is not second["accuracy"]), "no score" if first["accuracy"] is second["accuracy"] else "a score in one folder only"
    difference = second["accuracy"] - first["accuracy"]
    words = f"accuracy {percent(first['accuracy'], 2)} against {percent(second['accuracy'], 2)} %"
    spreads = [cell["accuracy_spread"] for cell in (first, second)]
    if None in spreads:
        return difference != 0, f"{words} (a single run: no spread to judge by{', so any difference counts' if difference else ''})"
    allowed = STANDARD_ERRORS * hypot(*(spread / sqrt(cell["runs_done"]) for spread, cell in zip(spreads, (first, second), strict=True)))
    return abs(difference) > allowed, f"{words} (difference {100 * difference:+.2f}, within chance up to {100 * allowed:.2f})"


