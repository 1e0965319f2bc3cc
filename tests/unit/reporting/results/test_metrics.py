"""Scores: one place says which, how they are written, and why one is missing."""

import numpy as np
import pytest
from scipy import stats

from lmodp.data.cards import DATASETS
from lmodp.reporting.results.against import Beside, lender
from lmodp.reporting.results.metrics import (
    METRICS,
    at_chance,
    metrics_of,
    missing_scores,
    reach,
    reference_cell,
    summarise,
)
from lmodp.tasks.generation_scores import SCORES

NO_JAVA = "needs Java, which is not installed"


def run(status="done", reasons=None, **scores):
    return {"status": status, "reasons": reasons or {}, **scores}


def test_every_data_set_has_metrics_and_a_leading_one():
    assert metrics_of(DATASETS["sst2"]) == ("accuracy",) and metrics_of(DATASETS["qqp"]) == ("accuracy", "f1")
    assert metrics_of(DATASETS["e2e"]) == metrics_of(DATASETS["dart"]) == ("perplexity", *SCORES)
    assert METRICS["perplexity"].lower_is_better and "lower is better" in METRICS["perplexity"].head()


def test_a_summary_is_over_finished_runs():
    found = summarise("bleu", [run(bleu=40.0), run(bleu=44.0), run("diverged", bleu=None)])
    assert (found["mean"], found["spread"]) == (42.0, pytest.approx(8**0.5))
    assert (
        found["values"] == [40.0, 44.0]
        and (found["lowest"], found["highest"]) == (40.0, 44.0)
        and found["reason"] is None
    )


@pytest.mark.parametrize(
    ("runs", "mean", "reason"),
    [
        ([run(meteor=None, reasons={"meteor": NO_JAVA})], None, NO_JAVA),
        ([run(meteor=0.3), run(meteor=None, reasons={"meteor": NO_JAVA})], 0.3, NO_JAVA),
        ([run(meteor=None)], None, "no run of this cell has this score"),
        ([run("diverged")], None, None),  # the run's own reason says it
        ([], None, None),
    ],
)
def test_a_missing_score_has_its_reason(runs, mean, reason):
    found = summarise("meteor", runs)
    assert (found["mean"], found["reason"]) == (mean, reason)
    assert found["spread"] is None


def test_missing_scores_of_one_reason_are_told_together():
    runs = [
        run(
            bleu=1.0,
            nist=None,
            meteor=None,
            cider=None,
            reasons={"nist": "too short", "meteor": NO_JAVA, "cider": NO_JAVA},
        )
    ]
    cell = {"scores": {name: summarise(name, runs) for name in ("bleu", "nist", "meteor", "cider")}}
    assert missing_scores(cell) == f"no NIST: too short; no METEOR or CIDEr: {NO_JAVA}"


@pytest.mark.parametrize(
    ("name", "value", "text", "difference"),
    [
        ("accuracy", 0.7345, "73.5", "+73.5"),
        ("bleu", 61.519, "61.5", "+61.5"),
        ("meteor", 0.3837, "0.384", "+0.384"),
        ("perplexity", 4.092, "4.09", "+4.09"),
        ("accuracy", -0.0002, "-0.0", "-0.02"),
        ("bleu", -1.26, "-1.3", "-1.3"),
        ("accuracy", -1e-9, "-0.0", "+0.0"),
        ("accuracy", 0.0, "0.0", "+0.0"),
        ("accuracy", -0.00002, "-0.0", "-0.002"),
    ],
)
def test_how_scores_are_written(name, value, text, difference):
    assert METRICS[name].text(value) == text and METRICS[name].difference(value) == difference


def test_a_mean_has_half_of_its_interval_where_seeds_are_enough():
    score = {"mean": 0.75, "spread": 0.012, "values": [0.75] * 10}
    assert reach(score) == pytest.approx(stats.t.ppf(0.975, 9) * 0.012 / 10**0.5)
    assert METRICS["accuracy"].mean_and_reach(score) == "75.0 ± 0.9"  # 0.858, rounded outwards
    assert METRICS["accuracy"].mean_and_reach({**score, "values": [0.75] * 4}) == "75.0"
    assert METRICS["nist"].mean_and_reach({"mean": 6.697, "spread": None, "values": [6.697]}) == "6.70"
    assert METRICS["nist"].mean_and_reach({"mean": None, "spread": None, "values": []}) == "–"


@pytest.mark.parametrize(
    ("value", "lower", "upper"),
    [
        (0.0131, "+1.3", "+1.4"),
        (-0.0131, "-1.4", "-1.3"),
        (0.0003, "+0.03", "+0.1"),
        (-0.0003, "-0.1", "-0.03"),
        (-0.013, "-1.3", "-1.3"),
        (0.0, "+0.0", "+0.0"),
    ],
)
def test_ends_are_rounded_outwards_and_never_onto_zero(value, lower, upper):
    assert (METRICS["accuracy"].lower_end(value), METRICS["accuracy"].upper_end(value)) == (lower, upper)


@pytest.mark.parametrize("majority", [0.5, 0.8])
def test_always_naming_the_commonest_class_is_at_chance_and_rarely_is_a_guess_above_it(majority):
    count, results = 300, {"experiments": {"e": {"majority_accuracy": majority}}}

    def judge(right, **others):
        score = {"mean": None if right is None else right / count}
        return at_chance(results, {"experiment": "e", "examples": count, "scores": {"accuracy": score}, **others})

    guesses = np.random.default_rng(0).binomial(count, majority, 20_000)
    assert np.mean([judge(right) for right in guesses]) == pytest.approx(0.975, abs=0.012)
    assert judge(majority * count) and judge(0) and not judge(count)
    assert judge(None) is None and judge(9, examples=None) is None and judge(9, scores={"bleu": {"mean": 3.0}}) is None
    results["experiments"]["e"]["majority_accuracy"] = None
    assert judge(9) is None


@pytest.mark.parametrize(
    ("part", "compares"), [(None, True), ("clip", True), ("schedule", False), ("correlation", False)]
)
def test_noise_of_another_form_is_no_multiple_of_the_standards(part, compares):
    facts = {"experiment": "e", "calibration": "verified", "setting": None, "epsilon": 3.0, "delta": 1e-5}
    cells = [
        {**facts, "cell": name, "method": name, "mechanism": name, "noise_multiplier": size}
        for name, size in (("a", 2.0), ("b", 1.0))
    ]
    plan = {"dataset_size": 100, "expected_batch_size": 10, "steps": 3}
    own = {**plan, "releases": {part: {}} if part else {}}
    results = {
        "cells": cells,
        "compare": {"standard": "b"},
        "comparisons": [],
        "experiments": {"e": {"task": "e"}},
        "mechanisms": {"a": own, "b": plan},
    }
    assert Beside.of(results).ratios.get("a") == (2.0 if compares else None)
    own["steps"] = 4
    assert Beside.of(results).ratios == {"b": 1.0}


def test_an_experiment_without_them_borrows_the_references_of_its_task():
    def cell(experiment, method, calibration, **others):
        target = {"calibration": calibration, "setting": None, "epsilon": 3.0, "delta": 1e-5}
        facts = {"method": method, "mechanism": method, "noise_multiplier": 2.0, "verified_upper": None}
        return {"cell": f"{experiment} {method}", "experiment": experiment, **target, **facts, **others}

    plan = {"dataset_size": 100, "expected_batch_size": 10, "steps": 3}
    cells = [
        cell("head", "plain", None),
        cell("head", "prompt", None, verified_upper=0.0),
        cell("head", "b", "verified", noise_multiplier=1.0),
        cell("more", "a", "verified"),
        cell("alone", "a", "verified"),
    ]
    results = {
        "cells": cells,
        "comparisons": [],
        "compare": {"standard": "b"},
        "experiments": {"head": {"task": "head"}, "more": {"task": "head"}, "alone": {"task": "alone"}},
        "mechanisms": {name: plan for name in "ab"},
    }
    assert reference_cell(results, "more") is cells[0] and reference_cell(results, "more", trained=False) is cells[1]
    assert reference_cell(results, "alone") is None
    assert Beside.of(results).ratios == {"head b": 1.0, "more a": 2.0}
    assert [lender(results, name) for name in results["experiments"]] == ["head", "head", "alone"]
