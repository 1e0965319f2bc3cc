"""The best method at a verified ε is read off the means, and what cannot be told apart from it is named."""

import numpy as np
import pytest
from scipy import stats

from lmodp.reporting.results.best import _welch, best_by_epsilon, not_told_apart, sentence, tasks

METHODS = {"gaussian": "Gaussian", "lmo_dp": "LMO-DP", "once": "least squares"}


def cell(experiment, method, epsilon, values, metric="accuracy", **others):
    score = {"mean": float(np.mean(values)), "spread": float(np.std(values, ddof=1)), "values": list(values)}
    return {
        "experiment": experiment,
        "method": method,
        "method_title": METHODS[method],
        "calibration": "verified",
        "epsilon": epsilon,
        "setting": None,
        "delta": 1e-10,
        "verified_upper": epsilon,
        "examples": 1000,
        "metric": metric,
        "scores": {metric: score},
        **others,
    }


def results_of(cells, metric="accuracy"):
    facts = {"task": "head", "metrics": [metric], "majority_accuracy": 0.5}
    return {
        "experiments": {name: {**facts, "title": f"{name} of it"} for name in ("head", "other")},
        "methods": {name: {"title": title} for name, title in METHODS.items()},
        "compare": {"asked": "lmo_dp", "standard": "gaussian"},
        "cells": cells,
    }


SPREAD = np.array([-0.01, -0.005, 0, 0.005, 0.01])


def test_a_task_joins_experiments_and_names_the_best_and_its_equals():
    cells = [
        cell("head", "gaussian", 0.3, 0.75 + SPREAD),
        cell("head", "lmo_dp", 0.3, 0.72 + SPREAD),
        cell("other", "once", 0.3, 0.752 + SPREAD),
        cell("head", "gaussian", 3, 0.80 + SPREAD),
        cell("head", "lmo_dp", 3, 0.76 + SPREAD),
        cell("other", "once", 3, 0.70 + SPREAD[:3]),  # too few seeds
        cell("other", "gaussian", 3, 0.90 + SPREAD),  # the first experiment of the task has one
        cell("head", "lmo_dp", 3, 0.99 + SPREAD, calibration="claimed"),
        cell("head", "lmo_dp", 3, 0.99 + SPREAD, verified_upper=None),  # no privacy statement
    ]
    results = results_of(cells)
    ((name, found),) = tasks(results).items()
    assert name == "head" and len(found) == 5
    best = best_by_epsilon(found)
    assert {epsilon: item["method"] for epsilon, item in best.items()} == {0.3: "once", 3: "gaussian"}
    assert [item["method"] for item in not_told_apart(best[0.3], found)] == ["gaussian"]
    assert not not_told_apart(best[3], found)
    assert sentence(results, name, found) == (
        "Head of it: best mean accuracy, %: at ε = 0.3 least squares (75.2); at ε = 3 Gaussian (80.0). LMO-DP is 3.2 "
        "and 4.0 points behind at ε = 0.3 and 3. Not told apart from the best "
        "(by 95 % intervals, each on its own): at ε = 0.3 Gaussian."
    )


def test_a_best_that_is_at_chance_says_so():
    cells = [cell("head", name, 0.1, mean + SPREAD) for name, mean in (("gaussian", 0.51), ("lmo_dp", 0.50))]
    assert "Gaussian (51.0, at chance). LMO-DP is 1.0 points behind" in sentence(results_of(cells), "head", cells)


def test_of_perplexities_the_lowest_is_best_and_one_method_is_no_choice():
    cells = [
        cell("head", "gaussian", 3, 9 + SPREAD, "perplexity"),
        cell("head", "lmo_dp", 3, 7 + SPREAD, "perplexity"),
    ]
    assert best_by_epsilon(cells)[3]["method"] == "lmo_dp"
    assert not tasks(results_of(cells[:1], "perplexity"))


def test_two_means_are_told_apart_as_welchs_test_does():
    draw = np.random.default_rng(3)
    for shift in np.linspace(0, 0.03, 20):
        first, second = draw.normal(0.8, 0.01, 10), draw.normal(0.8 - shift, 0.02, 6)
        one, two = cell("head", "gaussian", 1, first), cell("head", "lmo_dp", 1, second)
        half = _welch(one, two)
        interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
        assert half == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)
