"""Paired intervals: they cover, they are as wide as they should be, and few seeds get none."""

import numpy as np
import pytest
from scipy import stats

from lmodp.reporting.results.against import score_verdict
from lmodp.reporting.results.metrics import FEWEST_SEEDS
from lmodp.reporting.results.paired import (
    answers_of,
    best_cells,
    compare_cells,
    paired_interval,
    pooled_contrasts,
    seeds_interval,
)
from lmodp.tasks.accuracy import pack_correct, pack_losses, unpack_losses
from tests.lines import write_lines

EXAMPLES = 400


def compared(rows, runs, root, standard="a"):
    return compare_cells(rows, answers_of(rows, runs, root), standard)


def grid(root, seeds, gain, *, shift=0.0):
    """Two methods that answer the same examples; the second is right on some more."""
    generator = np.random.default_rng(5)
    rows, runs = [], []
    ease = generator.random(EXAMPLES)
    for method, chance in (("a", 0.0), ("b", gain)):
        rows.append(
            {
                "cell": method,
                "method": method,
                "experiment": "e",
                "calibration": "verified",
                "epsilon": 1.0,
                "delta": 1e-6,
                "setting": None,
                "metric": "accuracy",
                "scores": {"accuracy": {"mean": 0.7}},
            }
        )
        lines = []
        for number in range(seeds):
            correct = ease < 0.7 + chance + shift * generator.standard_normal()
            run = f"{method}-{number}"
            runs.append({"cell": method, "run": run, "repetition": number, "status": "done"})
            lines.append({"run": run, "correct": pack_correct(correct), "examples": EXAMPLES})
        write_lines(root, method, "evaluate_model", lines)
    return rows, runs


def test_a_clear_gain_is_separated_and_seen_from_both_sides(tmp_path):
    rows, runs = grid(tmp_path, 6, 0.1)
    forward, backward = compared(rows, runs, tmp_path)
    assert forward["against"] == "b" and forward["difference"] < 0 and score_verdict(forward) == "lower"
    assert (backward["lower"], backward["upper"]) == (-forward["upper"], -forward["lower"])
    assert best_cells(rows, [forward, backward]) == {"b"}


def test_no_gain_is_not_separated(tmp_path):
    rows, runs = grid(tmp_path, 6, 0.0, shift=0.02)
    found = compared(rows, runs, tmp_path)
    assert score_verdict(found[0]) == "no difference shown" and best_cells(rows, found) == set()


def test_few_seeds_claim_nothing(tmp_path):
    rows, runs = grid(tmp_path, FEWEST_SEEDS - 1, 0.1)
    found = compared(rows, runs, tmp_path)
    assert found[0]["lower"] is None and score_verdict(found[0]) == "too few seeds" and found[0]["difference"] < 0
    assert best_cells(rows, found) == set()


def test_a_run_that_diverged_is_left_out_on_both_sides(tmp_path):
    rows, runs = grid(tmp_path, 6, 0.1)
    runs[0]["status"] = "diverged"
    assert compared(rows, runs, tmp_path)[0]["seeds"] == 5


@pytest.mark.parametrize("factor", [1.0, 2 / 3, 3 / 2])
def test_the_width_is_that_of_the_standard_error(factor):
    """Independent differences: the standard error is known, and 2/3 or 3/2 of it is told apart."""
    generator = np.random.default_rng(11)
    differences = generator.choice([-1, 0, 1], p=[0.15, 0.6, 0.25], size=(20, 500)).astype(np.int8)
    lower, upper = paired_interval(lambda weights: weights @ differences.T, seeds=20, examples=500)
    # Resampling seeds and examples independently counts the noise of single answers in both factors and once together.
    expected = 2 * 1.96 * factor * np.sqrt(3 * differences.var() / differences.size)
    assert (abs((upper - lower) / expected - 1) < 0.15) == (factor == 1.0)


@pytest.mark.parametrize("seeds", [FEWEST_SEEDS - 1, FEWEST_SEEDS])
def test_scores_of_a_corpus_are_compared_run_by_run(tmp_path, seeds):
    rows, runs = [], []
    for method, level in (("a", 40.0), ("b", 43.0)):
        rows.append(
            {
                "cell": method,
                "method": method,
                "experiment": "e",
                "calibration": "verified",
                "epsilon": 1.0,
                "delta": 1e-6,
                "setting": None,
                "metric": "bleu",
                "scores": {"bleu": {"mean": level}},
            }
        )
        lines = []
        for number in range(seeds):
            runs.append({"cell": method, "run": f"{method}-{number}", "repetition": number, "status": "done"})
            score = {"bleu": level + number + (0.2 * number if method == "b" else 0.0), "examples": 100}
            lines.append({"run": f"{method}-{number}", **score})
        write_lines(tmp_path, method, "evaluate_model", lines)
    forward, backward = compared(rows, runs, tmp_path)
    assert backward["difference"] == pytest.approx(3 + 0.2 * (seeds - 1) / 2) and backward["seeds"] == seeds
    assert best_cells(rows, [forward, backward]) == ({"b"} if seeds == FEWEST_SEEDS else set())
    assert (backward["lower"] is None) is (seeds < FEWEST_SEEDS)


def test_perplexities_are_compared_over_seeds_and_examples(tmp_path):
    """The exponential of a mean over tokens: long examples count more, and resampling weighs whole examples."""
    generator = np.random.default_rng(4)
    tokens = generator.integers(3, 60, size=200)
    rows, runs, expected = [], [], {}
    for method, level in (("a", 1.2), ("b", 1.1)):
        facts = {"experiment": "e", "calibration": "verified", "epsilon": 1.0, "delta": 1e-6}
        facts |= {"metric": "perplexity", "setting": None}
        rows.append({"cell": method, "method": method, **facts, "scores": {"perplexity": {"mean": 3.0}}})
        lines = []
        for number in range(6):
            losses = tokens * (level + 0.01 * number + 0.1 * generator.standard_normal(200))
            packed = pack_losses(np.stack([losses, tokens]))
            expected.setdefault(method, []).append(np.exp(losses.sum() / tokens.sum()))
            runs.append({"cell": method, "run": f"{method}-{number}", "repetition": number, "status": "done"})
            lines.append({"run": f"{method}-{number}", "perplexity": expected[method][-1], "losses": packed})
        write_lines(tmp_path, method, "evaluate_model", lines)
    forward, backward = compared(rows, runs, tmp_path)
    assert backward["difference"] == pytest.approx(np.mean(np.subtract(expected["b"], expected["a"])), rel=1e-5)
    assert (backward["seeds"], backward["examples"]) == (6, 200) and backward["upper"] < 0 < forward["lower"]
    assert best_cells(rows, [forward, backward]) == {"b"}  # the lower perplexity is the better one
    assert unpack_losses(packed) == pytest.approx(np.stack([losses, tokens]), rel=1e-6)


@pytest.mark.parametrize(("factor", "covers"), [(1.0, True), (2 / 3, False), (3 / 2, False)])
def test_the_interval_over_seeds_covers_as_often_as_it_says(factor, covers):
    generator = np.random.default_rng(8)
    hits = 0
    for _ in range(2000):
        differences = generator.normal(0.0, 2.0, size=6)
        lower, upper = seeds_interval(differences)
        middle, reach = (lower + upper) / 2, factor * (upper - lower) / 2
        hits += abs(middle) <= reach
    assert (abs(hits / 2000 - 0.95) < 0.015) is covers


def four_targets(root, gains, *, shift=0.02):
    """Two methods at four targets; the second is right on some more examples, at each target another share."""
    rows, runs = [], []
    for number, gain in enumerate(gains):
        of_it, more = grid(root / str(number), 6, gain, shift=shift)
        for row in of_it:
            row |= {"cell": f"{row['cell']}{number}", "epsilon": float(number), "setting": None}
        for run in more:
            run["cell"] = f"{run['cell']}{number}"
        rows, runs = rows + of_it, runs + more
        for method in "ab":
            (root / "cells").mkdir(exist_ok=True)
            (root / str(number) / "cells" / method).rename(root / "cells" / f"{method}{number}")
    return rows, runs


def test_the_pooled_contrast_is_the_mean_over_targets_and_needs_no_adjustment(tmp_path):
    rows, runs = four_targets(tmp_path, (0.01, 0.02, 0.03, 0.04))
    answers = answers_of(rows, runs, tmp_path)
    (pooled,) = pooled_contrasts(rows, answers, {"asked": "b", "standard": "a"}, {})
    singles = [item for item in compare_cells(rows, answers, "a") if item["method"] == "b"]
    assert pooled["difference"] == pytest.approx(np.mean([item["difference"] for item in singles]))
    assert pooled["epsilons"] == [0.0, 1.0, 2.0, 3.0] and (pooled["seeds"], pooled["comparisons"]) == (6, 1)
    (turned,) = pooled_contrasts(rows, answers, {"asked": "a", "standard": "b"}, {})
    assert turned["difference"] == pytest.approx(-pooled["difference"])
    assert pooled_contrasts(rows, answers, {"asked": "b", "standard": "absent"}, {}) == []


def test_contrasts_of_both_calibrations_are_about_the_same_epsilons(tmp_path):
    rows, runs = four_targets(tmp_path, (0.01, 0.02, 0.03, 0.04))
    for row in rows:
        if row["epsilon"] >= 2:  # the other experiment of the task is about 2 and 3, and about nothing else
            row["experiment"], row["calibration"] = "claims", "claimed"
    for row in rows[-2:]:
        row["epsilon"] = 1.0
    tasks = dict.fromkeys(("claims", rows[0]["experiment"]), "one")
    found = pooled_contrasts(rows, answers_of(rows, runs, tmp_path), {"asked": "b", "standard": "a"}, tasks)
    ends = {item["calibration"]: item["epsilons"] for item in found}
    assert ends == {rows[0]["calibration"]: [1.0], "claimed": [1.0]}
    lost = [row["cell"] for row in rows if row["calibration"] == "claimed" and row["epsilon"] == 1.0]
    answers = {cell: {} if cell in lost else known for cell, known in answers_of(rows, runs, tmp_path).items()}
    found = pooled_contrasts(rows, answers, {"asked": "b", "standard": "a"}, tasks)
    assert found[0]["epsilons"] == [1.0], "a cell that is pending changes no other contrast"


def test_single_comparisons_are_adjusted_for_their_number(tmp_path):
    """Four comparisons share 5 %: each interval is the one of 98.75 %, about the same middle. With few seeds it is not
    narrower than Student's over seeds."""
    rows, runs = four_targets(tmp_path, (0.0, 0.0, 0.0, 0.0))
    answers = answers_of(rows, runs, tmp_path)
    (alone,) = [item for item in compare_cells(rows[:2], answers, "a") if item["method"] == "b"]
    among = next(item for item in compare_cells(rows, answers, "a") if item["method"] == "b")
    assert (alone["comparisons"], among["comparisons"]) == (1, 4) and alone["difference"] == among["difference"]
    pair = answers[among["cell"]], answers[among["against_cell"]]
    differences = np.array([float(pair[0][seed].mean() - pair[1][seed].mean()) for seed in pair[0]])
    for item in (alone, among):
        ends = seeds_interval(differences, comparisons=item["comparisons"])
        assert item["lower"] <= ends[0] <= ends[1] <= item["upper"]
    assert among["lower"] < alone["lower"] < alone["upper"] < among["upper"]


def test_percentiles_are_lengthened_for_several_comparisons():
    differences = np.random.default_rng(4).normal(size=(8, 50))
    one, four = (
        paired_interval(lambda weights: weights @ differences.T, seeds=8, examples=50, comparisons=count)
        for count in (1, 4)
    )
    factor = stats.norm.ppf(1 - 0.025 / 4) / stats.norm.ppf(0.975)
    middle = differences.mean()
    assert np.array(four) - middle == pytest.approx(factor * (np.array(one) - middle))


def test_a_family_is_what_a_reader_sees_together(tmp_path):
    rows, runs = four_targets(tmp_path, (0.0, 0.0, 0.0, 0.0))
    answers = answers_of(rows, runs, tmp_path)
    for row in rows[4:]:
        row["calibration"] = "claimed"
    assert {item["comparisons"] for item in compare_cells(rows, answers, "a")} == {2}
    assert {item["comparisons"] for item in compare_cells(rows, answers, "absent")} == {2}


def test_an_experiment_without_the_standard_is_compared_with_that_of_its_task(tmp_path):
    """Three targets of the task; at two of them another experiment has a method, and is no part of the task's own."""
    rows, runs = four_targets(tmp_path, (0.0, 0.0, 0.2, 0.2))
    for row in rows:
        if row["epsilon"] == 3:
            row |= {"experiment": "rivals", "epsilon": 2.0} if row["method"] == "b" else {"epsilon": 7.0}
    answers, tasks = answers_of(rows, runs, tmp_path), {"e": "e", "rivals": "e"}
    found = compare_cells(rows, answers, "a", tasks)
    (lent,) = [item for item in found if "rivals" in item["experiment"]]
    assert (lent["cell"], lent["against_cell"], lent["comparisons"]) == ("b3", "a2", 4) and lent["lower"] > 0
    alone = compare_cells(rows, answers, "a", {"e": "e", "rivals": "x"})
    kept = ("cell", "against_cell", "difference")
    assert [[item[name] for name in kept] for item in found if item is not lent] == [
        [item[name] for name in kept] for item in alone
    ]
    assert best_cells(rows, found) == {"b2", "b3"} and best_cells(rows, [*found, {**lent, "lower": -1}]) == {"b2"}


@pytest.mark.parametrize("comparisons", [1, 8])
def test_the_interval_over_seeds_is_adjusted_too(comparisons):
    differences = np.array([1.0, 2.0, 4.0, 0.5, 3.0])
    lower, upper = seeds_interval(differences, comparisons=comparisons)
    reach = stats.t.ppf(1 - 0.025 / comparisons, 4) * stats.sem(differences)
    assert (lower, upper) == (pytest.approx(2.1 - reach), pytest.approx(2.1 + reach))
