"""Two results folders of the same grid, compared mechanism by mechanism and cell by cell.

Privacy answers are computed, so they must agree to rounding. A cell of both folders has the same spec, so the same
seeds: its scores are compared seed by seed, and only the processors differ. What is left must be about as often above
as below 0. A single run has no spread; published results (``benchmarks/expected.py``) therefore say which range each
score had on several processors. A score within it, or no further outside than it is wide, agrees, and so does one
whose difference is smaller than the sampling error of the test examples.
"""

from collections.abc import Mapping, Sequence
from math import isclose, sqrt
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lmodp.errors import require
from lmodp.reporting.formats import as_written, number
from lmodp.reporting.results.metrics import METRICS, Metric

STEP_AND_RUN = ("claimed_step", "claimed_run", "pure_scalar_step", "paper_bound_step", "paper_bound_run")
ANSWERS = (*STEP_AND_RUN, "verified_lower", "verified_upper", "noise_multiplier", "sigma_effective")
RELATIVE = 1e-6  # of computed numbers: other processors and library versions round differently
FALSE_ALARM = 0.01  # that any score of two folders is said to differ by chance
NEGLIGIBLE = 0.01  # relative, of a single run's score without right and wrong answers
Known = Mapping[str, Any] | None


def compare_results(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a verdict on each mechanism and each cell of two ``results.json``: ``name``, ``differs`` and ``text``.

    Raises:
        InvalidValue: they share no cell: they are of different grids.
    """
    written = [as_written(found) for found in (first, second)]
    left, right = ({cell["cell"]: cell for cell in found["cells"]} for found in written)
    grids = f"{first['grid']} and {second['grid']}"
    require(bool(left.keys() & right.keys()), "grids", grids, "share no cell", "Compare two runs of one grid.")
    ranges = [(found.get("seen") or {}).get("cells", {}) for found in (first, second)]
    compared = sum(len(left[name]["scores"]) for name in left.keys() & right.keys())
    seen, level = {**ranges[0], **ranges[1]}, FALSE_ALARM / max(1, compared)
    mechanisms = [found.get("mechanisms", {}) for found in written]
    told = [(name, _answers(*(found.get(name) for found in mechanisms))) for name in {**mechanisms[0], **mechanisms[1]}]
    told += [(name, _compare(left.get(name), right.get(name), seen.get(name, {}), level)) for name in {**left, **right}]
    return [{"name": name, "differs": differs, "text": text} for name, (differs, text) in told]


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


def _answers(first: Known, second: Known) -> tuple[bool, str]:
    """Whether computed answers differ, and which."""
    if first is None or second is None:
        return True, f"only in the {'first' if second is None else 'second'} folder"
    unlike = [key for key in ANSWERS if not _same(first[key], second[key])]
    told = [f"{key} {number(first[key], 8)} against {number(second[key], 8)}" for key in unlike]
    return bool(told), "; ".join(told)


def _compare(first: Known, second: Known, seen: Mapping[str, Any], level: float) -> tuple[bool, str]:
    """Whether a cell differs, and in what."""
    if first is None or second is None:
        return _answers(first, second)
    if first["status"] != second["status"]:
        return True, f"{first['status']} against {second['status']} ({first['reason'] or second['reason']})"
    differs, answers = _answers(first, second)
    rates = [cell.get("learning_rate") for cell in (first, second)]
    chosen = [f"learning rate {rates[0]:g} against {rates[1]:g}"] if None not in rates and rates[0] != rates[1] else []
    one, other, examples = first["scores"], second["scores"], first["examples"]
    scores = [
        _score(METRICS[key], one.get(key), other.get(key), seen.get(key), examples, level) for key in {**one, **other}
    ]
    differs = differs or bool(chosen) or any(apart for apart, _ in scores)
    return differs, "; ".join(filter(None, [answers, *chosen, *(text for _, text in scores)]))


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return isclose(first, second, rel_tol=RELATIVE)


def _score(
    metric: Metric,
    first: Known,
    second: Known,
    seen: tuple[float, float] | None,
    examples: int | None,
    level: float,
) -> tuple[bool, str]:
    """Whether two means of a metric differ by more than processors explain, and a sentence about it."""
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
    seeds = len(first["values"])
    if seeds != len(second["values"]):
        return True, f"{words} (seeds: {seeds} against {len(second['values'])})"
    if seeds == 1:
        allowed = _sampling_error(metric, first["mean"], examples)
        why = "a single run; the sampling error of the test examples is"
    else:
        spread = float(np.std(np.subtract(second["values"], first["values"]), ddof=1)) / sqrt(seeds)
        one = 1.5 / examples if metric.share and examples else 0.0  # an example, which may turn in every seed
        allowed = max(float(stdtrit(seeds - 1, 1 - level / 2)) * spread, one)
        why = "seed by seed, processors explain up to"
    size = metric.factor * np.array([difference, allowed])
    return abs(difference) > allowed + RELATIVE * abs(first["mean"]), f"{words} ({size[0]:+.3g}; {why} {size[1]:.3g})"


def _sampling_error(metric: Metric, mean: float, examples: int | None) -> float:
    """The standard error of a share of right answers; of another score, a small part of it."""
    if metric.share and examples:
        return sqrt(max(mean * (1 - mean), 0.0) / examples)
    return NEGLIGIBLE * abs(mean)
