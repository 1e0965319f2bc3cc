"""The best method at a verified ε is read off the means, and what is shown to be worse is named beside it."""

import numpy as np

from lmodp.reporting.results.best import best_by_epsilon, choices, sentence, tasks

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
        "mechanism": f"{method}-{epsilon:g}",
        "cell": f"{experiment}-{method}-{epsilon:g}",
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
        "mechanisms": {},
        "choices": [],
    }


def answers_of(cell):
    """Answers to 1,000 examples, right about as often as the cell says; two methods find the same ones hard."""
    draw = np.random.default_rng(7 if cell["method"] == "once" else 8).random((1, 1000))
    return {seed: (draw < value).astype(float) for seed, value in enumerate(cell["scores"][cell["metric"]]["values"])}


SPREAD = np.array([-0.01, -0.005, 0, 0.005, 0.01])


def test_a_task_joins_experiments_and_names_the_best_and_what_is_worse():
    cells = [
        cell("head", "gaussian", 0.3, 0.75 + SPREAD),
        cell("head", "lmo_dp", 0.3, 0.65 + SPREAD),
        cell("other", "once", 0.3, 0.752 + SPREAD),
        cell("head", "gaussian", 3, 0.80 + SPREAD),
        cell("head", "lmo_dp", 3, 0.76 + SPREAD),
        cell("other", "once", 3, 0.70 + SPREAD[:3]),  # too few seeds
        cell("other", "gaussian", 3, 0.90 + SPREAD),  # the first experiment of the task has one
        cell("head", "lmo_dp", 3, 0.99 + SPREAD, calibration="claimed", cell="claimed"),
        cell("head", "lmo_dp", 3, 0.99 + SPREAD, delta=1e-5, cell="another delta"),
        cell("head", "lmo_dp", 3, 0.99 + SPREAD, verified_upper=None, cell="unsupported"),  # no privacy statement
    ]
    results = results_of(cells)
    ((name, found),) = tasks(results).items()
    assert name == "head" and len(found) == 5
    best = best_by_epsilon(found)
    assert {epsilon: item["method"] for epsilon, item in best.items()} == {0.3: "once", 3: "gaussian"}
    results["choices"] = choices(results, {item["cell"]: answers_of(item) for item in cells})
    assert [(item["best"], item["worse"]) for item in results["choices"]] == [
        ("other-once-0.3", ["head-lmo_dp-0.3"]),
        ("head-gaussian-3", ["head-lmo_dp-3"]),
    ]
    assert sentence(results, name, found) == (
        "Head of it: best mean accuracy, %: at ε = 0.3 least squares (75.2); at ε = 3 Gaussian (80.0). Shown to be "
        "worse (by paired 95 % intervals, adjusted for all pairs of methods; the others may be as good): "
        "at ε = 0.3 LMO-DP; at ε = 3 LMO-DP. LMO-DP minus Gaussian: -10.0 and -4.0 points at ε = 0.3 and 3."
    )


def test_methods_that_are_the_same_at_a_target_are_one():
    cells = [
        cell("head", "gaussian", 0.3, 0.75 + SPREAD),
        cell("head", "lmo_dp", 0.3, 0.76 + SPREAD),
        cell("head", "once", 0.3, 0.77 + SPREAD),
    ]
    results = results_of(cells)
    law = {"family": "gaussian", "std": 1.5}
    results["mechanisms"] = {item["mechanism"]: {"law": law} for item in cells}
    results["mechanisms"]["lmo_dp-0.3"] = {"law": law, "releases": {"clip": {"kind": "quantile"}}}
    assert [item["method"] for item in tasks(results)["head"]] == ["gaussian", "lmo_dp"]
    results["methods"]["once"]["after_noise"] = "Adam, bias corrected"
    assert len(tasks(results)["head"]) == 3


def test_a_best_that_is_at_chance_says_so():
    cells = [cell("head", name, 0.1, mean + SPREAD) for name, mean in (("gaussian", 0.51), ("lmo_dp", 0.50))]
    told = sentence(results_of(cells), "head", cells)
    assert (
        "Gaussian (51.0, at chance). Shown to be worse" in told
        and "): none. LMO-DP minus Gaussian: -1.0 points" in told
    )


def test_of_perplexities_the_lowest_is_best_and_one_method_is_no_choice():
    cells = [
        cell("head", "gaussian", 3, 9 + SPREAD, "perplexity"),
        cell("head", "lmo_dp", 3, 7 + SPREAD, "perplexity"),
    ]
    assert best_by_epsilon(cells)[3]["method"] == "lmo_dp"
    assert not tasks(results_of(cells[:1], "perplexity"))
