"""Paired comparisons of methods, in the main metric.

At equal repetition all methods have the same split, initial weights and Poisson samples, and all are scored on the same
examples. So accuracies and perplexities are compared run by run and example by example. For the interval, seeds and
examples are resampled with replacement, independently of each other (crossed bootstrap). With few seeds, where the
seeds are what matters, that interval is too narrow; so it is widened until it holds Student's interval over seeds. A
score of a whole corpus, such as BLEU, cannot be had for a part of the examples. Such scores are compared run by run,
with Student's interval alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.reporting.results.metrics import CONFIDENCE, FEWEST_SEEDS, METRICS, leading_score
from lmodp.tasks.accuracy import unpack_correct, unpack_losses

DRAWS, ITEMS = 20_000, 200_000_000  # resamples, and the most that are kept, times their size
BLOCK = 500  # of draws that are scored at once

Answers = Mapping[str, Mapping[int, np.ndarray]]
Scorer = Callable[[np.ndarray], np.ndarray]  # weights of examples (draws, N) -> a score of each seed (draws, seeds)


def answers_of(
    rows: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], root: Path
) -> dict[str, dict[int, np.ndarray]]:
    """Return, for each cell, what each finished repetition scored.

    That is 0 or 1 on every example, shape (1, N), summed loss and tokens of every example, shape (2, N), or one
    score of the whole corpus, shape (1, 1). There is a row per cell, as in ``results.json``.
    """
    of_cell: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        of_cell.setdefault(run["cell"], []).append(run)
    return {row["cell"]: _answers(row, of_cell.get(row["cell"], []), root) for row in rows}


def compare_cells(
    rows: Sequence[Mapping[str, Any]], answers: Answers, standard: str, tasks: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return the paired differences of all methods at the same target.

    An experiment without the standard method is compared with that of the first experiment of its task, which
    ``tasks`` names for every experiment.

    The intervals are adjusted for their number (Bonferroni). Comparisons with the standard method in one task and
    calibration, which answer one question with one standard, are one family; those of the other methods with each
    other, which only decide what is bold, are another.
    """
    tasks = tasks or {}
    usable = [row for row in rows if answers[row["cell"]]]
    alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in usable:
        alike.setdefault(_target(row), []).append(row)
    pairs = []
    for first in usable:
        others = alike[_target(first)]
        others.pop(0)  # itself
        pairs += [(first, second) for second in others]
    pairs += _with_lent(usable, standard, tasks)
    asked = [tasks.get(first["experiment"], first["experiment"]) for first, _ in pairs]
    families = [
        (task, a["calibration"], standard in (a["method"], b["method"]))
        for task, (a, b) in zip(asked, pairs, strict=True)
    ]
    sizes = Counter(families)
    found = []
    for (first, second), family in zip(pairs, families, strict=True):
        item = compare_pair(first, second, answers, sizes[family])
        found += [item, _turned(item)] if first["experiment"] == second["experiment"] else [item]
    return found


def _with_lent(
    rows: Sequence[Mapping[str, Any]], standard: str, tasks: Mapping[str, str]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Pairs of a cell and the standard of its task, for experiments without one."""
    lent = {_target(row): row for row in rows if row["method"] == standard and row["setting"] is None}
    owners = {experiment for experiment, *_ in lent}
    wanted = [row for row in rows if row["experiment"] not in owners and row["setting"] is None]
    known = ((row, lent.get((tasks.get(row["experiment"]), *_target(row)[1:]))) for row in wanted)
    return [(row, found) for row, found in known if found is not None]


def pooled_contrasts(
    rows: Sequence[Mapping[str, Any]], answers: Answers, compare: Mapping[str, str], tasks: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return one contrast per experiment and calibration: asked minus standard, the mean over targets.

    Where a task has targets of both calibrations, those of an epsilon that both have count: then the two contrasts are
    about the same epsilons, those that the asked method publishes. Which two methods are compared, ``compare`` of the
    configuration says. Each contrast answers a question of its own, so the intervals are not adjusted for their number.
    """
    groups: dict[tuple[str, str], dict[tuple[Any, ...], dict[str, Any]]] = {}
    for row in rows:
        if row["calibration"] and row["setting"] is None and answers[row["cell"]]:
            of_it = groups.setdefault((row["experiment"], row["calibration"]), {})
            of_it.setdefault(_target(row), {})[row["method"]] = row
    pairs = {
        of_it: [(cell[compare["asked"]], cell[compare["standard"]]) for cell in cells.values() if _both(cell, compare)]
        for of_it, cells in groups.items()
    }
    asked_for: dict[str, dict[str, set[float]]] = {}  # by task and calibration, pending cells included
    for row in rows:
        if row["calibration"] and row["setting"] is None and row["method"] == compare["asked"]:
            of_task = asked_for.setdefault(tasks.get(row["experiment"], row["experiment"]), {})
            of_task.setdefault(row["calibration"], set()).add(row["epsilon"])
    found = []
    for (experiment, calibration), found_pairs in pairs.items():
        epsilons = asked_for.get(tasks.get(experiment, experiment), {}).values()
        common = set.intersection(*epsilons) if epsilons else set()
        if kept := [pair for pair in found_pairs if pair[0]["epsilon"] in common] or found_pairs:
            facts = {"experiment": experiment, "calibration": calibration}
            found.append({**facts, "epsilons": [asked["epsilon"] for asked, _ in kept], **_pooled(kept, answers)})
    return found


def _both(cell: Mapping[str, Any], compare: Mapping[str, str]) -> bool:
    return compare["asked"] in cell and compare["standard"] in cell


def _pooled(pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]], answers: Answers) -> dict[str, Any]:
    """The mean over pairs of their differences, seed by seed and example by example."""
    shared = sorted(set.intersection(*(set(answers[cell["cell"]]) for pair in pairs for cell in pair)))
    scorers = [_difference(answers[a["cell"]], answers[b["cell"]], shared) for a, b in pairs]
    some = answers[pairs[0][0]["cell"]]
    return _facts(lambda weights: np.mean([score(weights) for score in scorers], axis=0), some, shared, 1)


def _difference(first: Mapping[int, np.ndarray], second: Mapping[int, np.ndarray], seeds: Sequence[int]) -> Scorer:
    """The difference of two cells' scores."""
    a, b = (np.array([answers[seed] for seed in seeds], dtype=np.float64) for answers in (first, second))
    return lambda weights: _score(a, weights) - _score(b, weights)


def _score(answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted share of right answers, or the perplexity, of each seed.

    Answers have shape (seeds, 1 or 2, N), weights (draws, N), each row with the sum 1.
    """
    seeds, kinds, examples = answers.shape
    sums = (weights @ answers.reshape(-1, examples).T).reshape(-1, seeds, kinds)
    with np.errstate(over="ignore"):
        return sums[..., 0] if kinds == 1 else np.exp(sums[..., 0] / sums[..., 1])


def _turned(item: Mapping[str, Any]) -> dict[str, Any]:
    """The same comparison seen from the other side."""
    swapped = {"cell": item["against_cell"], "against_cell": item["cell"]}
    swapped |= {"method": item["against"], "against": item["method"]}
    ends = {"difference": item["difference"], "lower": item["upper"], "upper": item["lower"]}
    return {**item, **swapped, **{name: None if value is None else -value for name, value in ends.items()}}


def _target(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("experiment", "calibration", "epsilon", "delta"))


def _answers(row: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], root: Path) -> dict[int, np.ndarray]:
    found = {}
    finished = {run["run"] for run in runs if run["status"] == "done"}
    lines = read_runs(cell_path(root, row["cell"], "evaluate_model"))[1] if finished else []
    for line in (line for line in lines if line["run"] in finished):
        if "correct" in line:
            found[line["repetition"]] = unpack_correct(line["correct"], line["examples"])[None]
        elif line.get(row["metric"]) is not None:
            whole = np.array([[line[row["metric"]]]])
            found[line["repetition"]] = unpack_losses(line["losses"]) if "losses" in line else whole
    return found


def compare_pair(
    first: Mapping[str, Any], second: Mapping[str, Any], answers: Answers, comparisons: int
) -> dict[str, Any]:
    """Return the paired difference of two cells, with its interval as one of so many comparisons."""
    a, b = answers[first["cell"]], answers[second["cell"]]
    shared = sorted(a.keys() & b.keys())
    return {
        "cell": first["cell"],
        "against_cell": second["cell"],
        **{name: first[name] for name in ("experiment", "calibration", "epsilon", "delta")},
        "method": first["method"],
        "against": second["method"],
        **_facts(_difference(a, b, shared), a, shared, comparisons),
    }


def _facts(score: Scorer, answers: Mapping[int, np.ndarray], shared: Sequence[int], comparisons: int) -> dict[str, Any]:
    """Mean and interval of a difference over the seeds that all cells share, adjusted for the number of comparisons.

    The answers of one of the cells tell how many examples there are.
    """
    seeds, examples = len(shared), answers[shared[0]].shape[1] if shared else 0
    plain = score(np.full((1, examples), 1 / examples))[0] if seeds else np.empty(0)
    ends = None
    if seeds >= FEWEST_SEEDS:
        ends = seeds_interval(plain, comparisons=comparisons)
    if ends is not None and examples > 1:
        both = paired_interval(score, seeds=seeds, examples=examples, comparisons=comparisons)
        ends = min(ends[0], both[0]), max(ends[1], both[1])
    return {
        "seeds": seeds,
        "examples": examples,
        "difference": float(plain.mean()) if seeds else None,
        "lower": None if ends is None else ends[0],
        "upper": None if ends is None else ends[1],
        "confidence": CONFIDENCE,
        "comparisons": comparisons,
    }


def paired_interval(score: Scorer, *, seeds: int, examples: int, comparisons: int = 1) -> tuple[float, float]:
    """Return the percentile interval of a difference's mean over seeds.

    All comparisons of so many seeds and examples use the same resamples: verdicts then do not contradict each other by
    chance. There are 20,000 resamples, so the ends are off by about a fiftieth of a standard error; fewer where there
    are more than 10,000 examples.

    For one of several comparisons, both arms are longer by the ratio of the normal quantiles: so far out,
    percentiles would need a hundred times as many draws.

    Of R seeds, percentiles show (R - 1)/R of the variance between seeds, and no quantile of Student's: where that
    variance is all there is, five seeds miss three times as often as stated. `seeds_interval` is made for that case.

    References:
        Owen (2007), The pigeonhole bootstrap: resampling both factors of a crossed design is, if anything, too wide,
        where both factors have many levels.
    """
    draws = min(DRAWS, max(2 * BLOCK, ITEMS // examples))
    of_seeds, of_examples = _resamples(seeds, draws, 0), _resamples(examples, draws, 1)
    blocks = [slice(first, first + BLOCK) for first in range(0, draws, BLOCK)]
    means = [(of_seeds[block] / seeds * score(of_examples[block] / examples)).sum(axis=1) for block in blocks]
    tail = (1 - CONFIDENCE) / 2
    longer = float(ndtri(tail / comparisons) / ndtri(tail))
    middle = float(score(np.full((1, examples), 1 / examples)).mean())
    lower, upper = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(middle - longer * (middle - lower)), float(middle + longer * (upper - middle))


@lru_cache(maxsize=4)
def _resamples(count: int, draws: int, seed: int) -> np.ndarray:
    """How often each of ``count`` items is drawn, (draws, count)."""
    generator, found = np.random.default_rng(seed), np.empty((draws, count), dtype=np.uint8)
    for first in range(0, draws, BLOCK):
        block = found[first : first + BLOCK]
        block[:] = generator.multinomial(count, np.full(count, 1 / count), size=len(block))
    return found


def seeds_interval(differences: np.ndarray, *, comparisons: int = 1) -> tuple[float, float]:
    """Return Student's interval of the mean of differences, shape (seeds,), for a metric with one score per run."""
    seeds = len(differences)
    error = differences.std(ddof=1) / np.sqrt(seeds)
    reach = float(stdtrit(seeds - 1, 1 - (1 - CONFIDENCE) / 2 / comparisons) * error)
    return float(differences.mean()) - reach, float(differences.mean()) + reach


def best_cells(rows: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the cells whose paired interval against every other method of the target is on the better side of zero."""
    against: dict[str, list[Mapping[str, Any]]] = {}
    for item in comparisons:
        against.setdefault(item["cell"], []).append(item)
    scored = {row["cell"]: row for row in rows if leading_score(row)["mean"] is not None}
    at_target: dict[tuple[Any, ...], set[str]] = {}
    for cell, row in scored.items():
        at_target.setdefault(_target(row), set()).add(cell)
    return {
        cell
        for cell, items in against.items()
        if cell in scored
        and at_target[_target(scored[cell])] - {cell} <= {item["against_cell"] for item in items}
        and all(is_better(item, scored[cell]["metric"]) for item in items)
    }


def is_better(item: Mapping[str, Any], metric: str) -> bool:
    """Return whether the whole interval of a comparison is on the better side of zero."""
    if item["lower"] is None:
        return False
    return bool(item["upper"] < 0 if METRICS[metric].lower_is_better else item["lower"] > 0)
