"""A made-up results.json with every kind of cell, for the tests of tables, figures and report."""

from __future__ import annotations

from typing import Any

from lmodp.data.cards import DATASETS
from lmodp.reporting.results.metrics import metrics_of, summarise
from lmodp.reporting.results.privacy_columns import audit_columns, privacy_columns

DATA = {"head": "movie_reviews", "last_layer": "movie_reviews", "sentences": "venues"}
METHODS = {
    "nonprivate": "non-private",
    "gaussian": "Gaussian",
    "laplace": "Laplace",
    "lmo_dp": "LMO-DP",
    "lmo_dp_as_drawn": "LMO-DP as drawn",
}
PRIVACY = (
    "claimed_step",
    "claimed_run",
    "pure_scalar_step",
    "paper_bound_step",
    "paper_bound_run",
    "verified_lower",
    "verified_upper",
    "noise_multiplier",
    "sigma_effective",
)
CLAIMED = {
    ("gaussian", 0.3): (0.3, 0.1574, None, None, 0.1031, 0.1012, 0.1070, 22.73, 22.73),
    ("laplace", 0.3): (0.3, 0.1574, 0.3, 0.3441, 0.71, 0.742, 0.781, 4.714, 3.333),
    ("lmo_dp", 0.3): (0.2932, 0.1564, 0.2347, 1.308, None, 0.5636, 0.5953, 7.124, 4.536),
    ("lmo_dp_as_drawn", 0.3): (0.2932, 0.1564, 0.894, 1.502, 2.9, 2.61, 2.9495, 2.9, 1.3625),
    ("gaussian", 3): (3, 1.347, None, None, 0.9, 1.1, 1.17, 2.273, 2.273),
    ("laplace", 3): (3, 1.347, 3, 3.2, 14, 15.1, 16.9, 0.4714, 0.3333),
    ("lmo_dp", 3): (2.995, 1.345, 2.462, 4.1, None, 17.0, 19.2, 0.61, 0.31),
    ("lmo_dp_as_drawn", 3): (2.995, 1.345, 5.2, 8.1, None, 88.0, 121.0, None, 0.12),
}
ACCURACY = {
    "gaussian": {0.3: 0.604, 3: 0.71},
    "laplace": {0.3: 0.66, 3: 0.735},
    "lmo_dp": {0.3: 0.641, 3: 0.731},
    "lmo_dp_as_drawn": {0.3: 0.72, 3: 0.739},
}


def fabricated_results(*, few_seeds: bool = False) -> dict[str, Any]:
    """Return results of three experiments: done, skipped, failed, diverged, infinite; the last generates sentences."""
    names = {"head": 10, "last_layer": 2, "sentences": 1} if not few_seeds else {"head": 2}
    cells = [
        cell
        for name, seeds in names.items()
        for cell in _cells(name, seeds)
        if name != "sentences" or cell["calibration"] != "claimed"
    ]
    return {
        "status": "done",
        "grid": "made_up",
        "title": "made-up results",
        "compare": {"asked": "lmo_dp", "standard": "gaussian"},
        "methods": {
            name: {
                "title": title,
                "reference": "nowhere",
                "private": name != "nonprivate",
                "noise_of": "lmo_dp" if name == "lmo_dp_as_drawn" else None,
            }
            for name, title in METHODS.items()
        },
        "experiments": {name: _experiment(name, seeds) for name, seeds in names.items()},
        "cells": cells,
        "comparisons": [],
        "mechanisms": {cell["mechanism"]: _mechanism(cell) for cell in cells if cell["status"] == "done"},
    }


def _cells(experiment: str, seeds: int) -> list[dict[str, Any]]:
    cells = [_cell(experiment, "nonprivate", None, None, seeds, 0.741, {})]
    for (method, epsilon), values in CLAIMED.items():
        cells.append(
            _cell(
                experiment,
                method,
                "claimed",
                epsilon,
                seeds,
                ACCURACY[method][epsilon],
                dict(zip(PRIVACY, values, strict=True)),
            )
        )
    for method, wider in (("gaussian", 1.0), ("laplace", 1.42), ("lmo_dp", 1.57)):
        for epsilon, sigma in ((0.3, 8.3), (3, 1.35)):
            values = (epsilon / 3, epsilon / 5, None, epsilon, None, 0.94 * epsilon, epsilon, sigma * wider, sigma)
            score = (0.69 if epsilon == 0.3 else 0.735) - 0.02 * (wider - 1)
            cells.append(
                _cell(experiment, method, "verified", epsilon, seeds, score, dict(zip(PRIVACY, values, strict=True)))
            )
    for epsilon in (0.3, 3):
        skipped = _cell(experiment, "lmo_dp_as_drawn", "verified", epsilon, seeds, None, {})
        cells.append({**skipped, "status": "skipped", "reason": "it is the drawing of a published claim"})
    cells[4] |= {"runs_done": seeds - 1, "runs_reason": "a trained weight is not finite after the last step"}
    return cells


def _mechanism(cell: dict[str, Any]) -> dict[str, Any]:
    laws = {
        "gaussian": {"family": "gaussian", "std": cell["sigma_effective"]},
        "laplace": {"family": "laplace", "scale": cell["sigma_effective"]},
    }
    mixture = {"family": "laplace_mixture", "rate": {"gamma": {"weight": 1.0, "shape": 5.0, "scale": 0.1}}}
    curve = (
        {"false_positive": [0.0, 0.2, 1.0], "false_negative": [1.0, 0.3, 0.0]} if cell["method"] == "lmo_dp" else None
    )
    names = ("method", "calibration", "epsilon", "delta", "setting", "status", "reason", *cell.keys() & _PRIVACY_FACTS)
    return {
        **{name: cell[name] for name in names},
        "expected_batch_size": 1024.0,
        "dataset_size": 7568,
        "steps": 40,
        "note": "made up",
        "law": None if cell["calibration"] is None else laws.get(cell["method"], mixture),
        "audit_curve": curve,
        "audit_claimed": 0.1 if curve else None,
        "audited_lower": 0.3 if curve else None,
        "audited_delta": 1e-3,
        "audited_confidence": 0.95 if curve else None,
    }


_PRIVACY_FACTS = frozenset([*privacy_columns(None), *audit_columns(None)])


def _cell(
    experiment: str,
    method: str,
    calibration: str | None,
    epsilon: float | None,
    seeds: int,
    accuracy: float | None,
    privacy: dict[str, float | None],
) -> dict[str, Any]:
    metrics = metrics_of(DATASETS[DATA[experiment]])
    runs = [] if accuracy is None else [_run(accuracy + 0.004 * ((7 * number) % 5 - 2)) for number in range(seeds)]
    return {
        "cell": f"{experiment}-{method}-{calibration}-e{epsilon}-0a1b2c3d",
        "experiment": experiment,
        "method": method,
        "calibration": calibration,
        "epsilon": epsilon,
        "delta": None if epsilon is None else 1e-10,
        "method_title": METHODS[method],
        "mechanism": f"{method}-{calibration}-e{epsilon}-3d2c1b0a",
        "repetitions": seeds,
        "status": "done",
        "reason": None,
        "setting": None,
        "runs": [f"{experiment}-{method}-{calibration}-e{epsilon}-r{number:02d}-00000000" for number in range(seeds)],
        **privacy_columns(None),
        **audit_columns(None),
        **{name: privacy.get(name) for name in PRIVACY},
        "claimed_order": 128,
        "claimed_order_in_domain": False,
        "claimed_reason": None,
        "pure_scalar_reason": "a Gaussian has no epsilon at delta = 0" if method == "gaussian" else None,
        "paper_bound_reason": "fewer than two valid orders" if privacy and privacy["paper_bound_run"] is None else None,
        "verified_limit": privacy.get("verified_lower"),
        "verified_reason": None,
        "mu": 0.1,
        "zcdp": 0.01,
        "noise_reason": "the variance is infinite" if privacy and privacy["noise_multiplier"] is None else None,
        "efficiency": 0.4,
        "runs_done": len(runs),
        "runs_reason": None,
        "examples": 200 if experiment == "sentences" else 2000,
        "metric": metrics[0],
        "scores": {metric: summarise(metric, runs) for metric in metrics},
    }


def _run(accuracy: float) -> dict[str, Any]:
    """One run's scores of every kind; Java was missing."""
    java = "needs Java, which is not installed"
    return {
        "status": "done",
        "accuracy": accuracy,
        "f1": accuracy - 0.05,
        "bleu": 60 * accuracy,
        "nist": 6 * accuracy,
        "meteor": None,
        "rouge_l": None,
        "cider": None,
        "perplexity": 3 / accuracy,
        "reasons": dict.fromkeys(("meteor", "rouge_l", "cider"), java),
    }


def _experiment(name: str, seeds: int) -> dict[str, Any]:
    card = DATASETS[DATA[name]]
    return {
        "title": {
            "head": "classification head on frozen MiniLM",
            "last_layer": "last encoder layer and head of MiniLM",
            "sentences": "GPT-2 on made-up venues",
        }[name],
        "dataset_name": card.name,
        "model_name": "minilm_roberta",
        "dataset": card.title,
        "train_size": 7568,
        "evaluation_split": "test",
        "evaluation_size": card.evaluation_size,
        "metrics": list(metrics_of(card)),
        "model": "MiniLM as RoBERTa",
        "trainable": {"head": "head", "last_layer": {"last_layers": 1}, "sentences": "full"}[name],
        "pooling": "mean",
        "repetitions": seeds,
        "expected_batch_size": 1024.0,
        "steps": 40,
        "clip_norm": 1.0,
        "learning_rate": 3e-3,
        "learning_rates": {},
        "optimizer": "adam",
        "schedule": "constant",
        "majority_accuracy": 0.507 if card.labels else None,
        "notes": ["a note on the data"],
    }
