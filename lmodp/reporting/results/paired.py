"""Paired comparisons of methods, in the main metric.

At equal repetition all methods have the same split, initial weights and Poisson
samples, and all are scored on the same examples. So accuracies are compared run by
run and example by example. For the interval, seeds and examples are resampled with
replacement, independently of each other (crossed bootstrap). A score of a whole
corpus, such as BLEU, is not a mean over examples. Such scores are compared run by run,
with Student's interval over seeds.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.reporting.results.metrics import leading_score
from lmodp.tasks.accuracy import unpack_correct

FEWEST_SEEDS = 5
DRAWS = 2000
BLOCK = 100  # of draws held in memory at once
CONFIDENCE = 0.95


def compare_cells(
    rows: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], root: Path
) -> list[dict[str, Any]]:
    """Return the paired differences of all methods at the same target.

    Args:
        rows: one per cell, as in ``results.json``.
        runs: one per run.
        root: the grid's results folder with the cells' ``evaluation.jsonl``.
    """
    answers = {row["cell"]: _answers(row, runs, root) for row in rows}
    found = []
    for first, second in combinations(rows, 2):
        if _target(first) == _target(second) and answers[first["cell"]] and answers[second["cell"]]:
            item = _compare(first, second, answers)
            found += [item, _turned(item)]
    return found


def _turned(item: Mapping[str, Any]) -> dict[str, Any]:
    """The same comparison seen from the other side."""
    swapped = {
        "cell": item["against_cell"],
        "against_cell": item["cell"],
        "method": item["against"],
        "against": item["method"],
    }
    ends = {"difference": item["difference"], "lower": item["upper"], "upper": item["lower"]}
    return {**item, **swapped, **{name: None if value is None else -value for name, value in ends.items()}}


def _target(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("experiment", "calibration", "epsilon", "delta"))


def _answers(row: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], root: Path) -> dict[int, np.ndarray]:
    """What each finished repetition scored: on every example, 0 or 1, (N,), or on the whole corpus, (1,)."""
    found = {}
    finished = {run["run"] for run in runs if run["cell"] == row["cell"] and run["status"] == "done"}
    lines = read_runs(cell_path(root, row["cell"], "evaluate_model"))[1] if finished else []
    for line in (line for line in lines if line["run"] in finished):
        if "correct" in line:
            found[line["repetition"]] = unpack_correct(line["correct"], line["examples"]).astype(np.int8)
        elif line.get(row["metric"]) is not None:
            found[line["repetition"]] = np.array([line[row["metric"]]])
    return found


def _compare(
    first: Mapping[str, Any], second: Mapping[str, Any], answers: Mapping[str, Mapping[int, np.ndarray]]
) -> dict[str, Any]:
    a, b = answers[first["cell"]], answers[second["cell"]]
    shared = sorted(a.keys() & b.keys())
    differences = np.array([a[number] - b[number] for number in shared])
    # Every pair of one target uses the same resamples, so that verdicts do not contradict each other by chance.
    bootstrap = partial(paired_interval, seed=zlib.crc32(repr(_target(first)).encode()))
    interval = bootstrap if differences.dtype == np.int8 else seeds_interval
    ends = interval(differences) if len(shared) >= FEWEST_SEEDS else None
    return {
        "cell": first["cell"],
        "against_cell": second["cell"],
        **{name: first[name] for name in ("experiment", "calibration", "epsilon", "delta")},
        "method": first["method"],
        "against": second["method"],
        "seeds": len(shared),
        "examples": int(differences.shape[1]) if len(shared) else 0,
        "difference": float(differences.mean()) if len(shared) else None,
        "lower": None if ends is None else ends[0],
        "upper": None if ends is None else ends[1],
        "confidence": CONFIDENCE,
        "separated": None if ends is None else bool(ends[0] > 0 or ends[1] < 0),
    }


def paired_interval(differences: np.ndarray, *, seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean difference.

    Args:
        differences: shape (seeds, examples), values -1, 0 or 1.
        seed: of the draws.

    References:
        Owen (2007), The pigeonhole bootstrap: resampling both factors of a crossed
        design gives an interval that is, if anything, too wide.
    """
    seeds, examples = differences.shape
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(DRAWS // BLOCK):
        of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=BLOCK) / seeds
        of_examples = generator.multinomial(examples, np.full(examples, 1 / examples), size=BLOCK) / examples
        means.append(((of_seeds @ differences) * of_examples).sum(axis=1))
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(lower), float(upper)


def seeds_interval(differences: np.ndarray) -> tuple[float, float]:
    """Return Student's interval of the mean difference, for a metric with one score per run.

    Args:
        differences: shape (seeds, 1).
    """
    seeds = len(differences)
    error = differences.std(ddof=1) / np.sqrt(seeds)
    reach = float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2, seeds - 1) * error)
    return float(differences.mean()) - reach, float(differences.mean()) + reach


def best_cells(rows: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the cells that are significantly the best of their target.

    A cell is bold only if its paired interval against every other method of the
    target is above zero. With fewer than five seeds no cell is bold.
    """
    against: dict[str, list[Mapping[str, Any]]] = {}
    for item in comparisons:
        against.setdefault(item["cell"], []).append(item)
    scored = {row["cell"]: row for row in rows if leading_score(row)["mean"] is not None}
    rivals = {
        cell: sum(_target(row) == _target(other) for other in scored.values()) - 1 for cell, row in scored.items()
    }
    return {
        cell
        for cell, items in against.items()
        if len(items) == rivals.get(cell) and all(item["lower"] is not None and item["lower"] > 0 for item in items)
    }
