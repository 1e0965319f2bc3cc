"""Two results folders of the same grid, compared cell by cell.

Privacy answers are computed, so they must agree to rounding. Scores are random, so they must agree within the seeds'
spread. Published results (``benchmarks/expected.py``) also say which range each score had on several processors: a
score within it, or no further outside than it is wide, agrees.
"""

from collections.abc import Mapping, Sequence
from math import hypot, isclose, sqrt
from typing import Any

from lmodp.errors import require
from lmodp.reporting.formats import as_written, number
from lmodp.reporting.results.metrics import METRICS, Metric

STEP_AND_RUN = ("claimed_step", "claimed_run", "pure_scalar_step", "paper_bound_step", "paper_bound_run")
ANSWERS = (*STEP_AND_RUN, "verified_lower", "verified_upper", "noise_multiplier", "sigma_effective")
RELATIVE = 1e-6  # of computed numbers: other processors and library versions round differently
STANDARD_ERRORS = 3.0  # of scores; by chance, about three cells in a thousand lie beyond
Known = Mapping[str, Any] | None


def compare_results(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one verdict per cell of two ``results.json``: ``cell``, ``differs`` and ``text``."""
    left, right = ({cell["cell"]: cell for cell in as_written(found)["cells"]} for found in (first, second))
    ranges = [(found.get("seen") or {}).get("cells", {}) for found in (first, second)]
    seen, verdicts = {**ranges[0], **ranges[1]}, []
    for name in dict.fromkeys([*left, *right]):
        differs, text = _compare(left.get(name), right.get(name), seen.get(name, {}))
        verdicts.append({"cell": name, "differs": differs, "text": text})
    return verdicts


def expected(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the first run's results with ``seen``: the lowest and the highest mean of each score over all runs.

    Raises:
        InvalidValue: there is one run only, or a run lacks a score; its range would be that of fewer processors.
    """
    means: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for cell in run["cells"]:
            for name, score in cell["scores"].items():
                if score["mean"] is not None:
                    means.setdefault(cell["cell"], {}).setdefault(name, []).append(score["mean"])
    fewer = [cell for cell, scores in means.items() if any(len(found) < max(len(runs), 2) for found in scores.values())]
    require(not fewer, "runs", len(runs), f"must be two or more, each with every score; not all have those of {fewer}")
    seen = {cell: {name: [min(x), max(x)] for name, x in scores.items()} for cell, scores in means.items()}
    return {**runs[0], "seen": {"runs": len(runs), "cells": seen}}


def _compare(first: Known, second: Known, seen: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a cell differs, and in what."""
    if first is None or second is None:
        return True, f"only in the {'first' if second is None else 'second'} folder"
    if first["status"] != second["status"]:
        return True, f"{first['status']} against {second['status']} ({first['reason'] or second['reason']})"
    unlike = [key for key in ANSWERS if not _same(first[key], second[key])]
    answers = [f"{key} {number(first[key], 8)} against {number(second[key], 8)}" for key in unlike]
    one, other = first["scores"], second["scores"]
    scores = [_score(METRICS[key], one.get(key), other.get(key), seen.get(key)) for key in {**one, **other}]
    differs = bool(answers) or any(apart for apart, _ in scores)
    return differs, "; ".join([*answers, *(text for _, text in scores)])


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return isclose(first, second, rel_tol=RELATIVE)


def _score(metric: Metric, first: Known, second: Known, seen: tuple[float, float] | None) -> tuple[bool, str]:
    """Whether two means of a metric differ by more than chance and processors explain, and a sentence about it."""
    known = [score for score in (first, second) if score is not None and score["mean"] is not None]
    if len(known) < 2:
        return bool(known), f"{metric.title} in one folder only" if known else f"no {metric.title}"
    first, second = known
    difference = second["mean"] - first["mean"]
    words = f"{metric.title} {metric.text(first['mean'])} against {metric.text(second['mean'])}{metric.sign}"
    if seen is not None:
        low, high = seen
        words += f", seen on several processors: {metric.text(low)} to {metric.text(high)}"
        if all(2 * low - high <= score["mean"] <= 2 * high - low for score in known):
            return False, words
    if None in (first["spread"], second["spread"]):
        counts = ", so any difference counts" if difference else ""
        return difference != 0, f"{words} (a single run has no spread{counts})"
    allowed = STANDARD_ERRORS * hypot(*(score["spread"] / sqrt(len(score["values"])) for score in (first, second)))
    chance = f"difference {metric.factor * difference:+.3g}, within chance up to {metric.factor * allowed:.3g}"
    return abs(difference) > allowed, f"{words} ({chance})"
