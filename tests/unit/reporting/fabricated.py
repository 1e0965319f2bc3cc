"""A made-up results.json with every kind of cell, for the tests of tables, figures and report.

Its shape is that of collected results: `tests/contracts/test_third_party.py` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lmodp.data.cards import DATASETS
from lmodp.reporting.results import FORM
from lmodp.reporting.results.best import OF_METHOD
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
COLUMNS = {
    "step": "claimed_step",
    "run": "claimed_run",
    "scalar": "pure_scalar_step",
    "paper": "paper_bound_step",
    "paper-run": "paper_bound_run",
    "lower": "verified_lower",
    "upper": "verified_upper",
    "multiplier": "noise_multiplier",
    "sigma": "sigma_effective",
}
TARGETS = """
method          under    epsilon accuracy step   run    scalar paper  paper-run lower  upper  multiplier sigma
nonprivate      -        -       0.741    -      -      -      -      -         -      -      -          -
gaussian        claimed  0.3     0.604    0.3    0.1574 -      -      0.1031    0.1012 0.1070 22.73      22.73
laplace         claimed  0.3     0.66     0.3    0.1574 0.3    0.3441 0.71      0.742  0.781  4.714      3.333
lmo_dp          claimed  0.3     0.641    0.2932 0.1564 0.2347 1.308  -         0.5636 0.5953 7.124      4.536
lmo_dp_as_drawn claimed  0.3     0.72     0.2932 0.1564 0.894  1.502  2.9       2.61   2.9495 2.9        1.3625
gaussian        claimed  3       0.71     3      1.347  -      -      0.9       1.1    1.17   2.273      2.273
laplace         claimed  3       0.735    3      1.347  3      3.2    14        15.1   16.9   0.4714     0.3333
lmo_dp          claimed  3       0.731    2.995  1.345  2.462  4.1    -         17     19.2   0.61       0.31
lmo_dp_as_drawn claimed  3       0.739    2.995  1.345  5.2    8.1    -         88     121    -          0.12
gaussian        verified 0.3     0.69     0.1    0.06   -      0.3    -         0.282  0.3    8.3        8.3
gaussian        verified 3       0.735    1      0.6    -      3      -         2.82   3      1.35       1.35
laplace         verified 0.3     0.6816   0.1    0.06   -      0.3    -         0.282  0.3    11.786     8.3
laplace         verified 3       0.7266   1      0.6    -      3      -         2.82   3      1.917      1.35
lmo_dp          verified 0.3     0.6786   0.1    0.06   -      0.3    -         0.282  0.3    13.031     8.3
lmo_dp          verified 3       0.7236   1      0.6    -      3      -         2.82   3      2.1195     1.35
lmo_dp_as_drawn verified 0.3     -        -      -      -      -      -         -      -      -          -
lmo_dp_as_drawn verified 3       -        -      -      -      -      -         -      -      -          -
"""


@dataclass(frozen=True)
class Row:
    """One target of one method: its score, and the answers to how private it is."""

    method: str
    calibration: str | None
    epsilon: float | None
    accuracy: float | None
    answers: dict[str, float | None] = field(default_factory=dict)

    @classmethod
    def read(cls, line: str, heads: list[str]) -> Row:
        values = dict(zip(heads, (None if text == "-" else text for text in line.split()), strict=True))
        method, calibration = values.pop("method"), values.pop("under")
        numbers = {head: None if text is None else float(text) for head, text in values.items()}
        return cls(method, calibration, numbers.pop("epsilon"), numbers.pop("accuracy"), numbers)

    @property
    def name(self) -> str:
        parts = (self.method, self.calibration, None if self.epsilon is None else f"e{self.epsilon:g}")
        return "-".join(part for part in parts if part)


def rows() -> list[Row]:
    heads, *lines = TARGETS.strip().splitlines()
    return [Row.read(line, heads.split()) for line in lines]


def fabricated_results() -> dict[str, Any]:
    """Return results of three experiments: done, skipped, failed, pending, diverged, infinite.

    The last experiment generates sentences, and has nothing at equal claims.
    """
    seeds = {"head": 10, "last_layer": 2, "sentences": 1}
    cells = [
        _cell(experiment, row, seeds[experiment])
        for experiment in seeds
        for row in rows()
        if not (experiment == "sentences" and row.calibration == "claimed")
    ]
    named = {cell["cell"].removesuffix("-0a1b2c3d"): cell for cell in cells}
    for experiment in ("head", "last_layer"):
        named[f"{experiment}-lmo_dp_as_drawn-claimed-e0.3"] |= {
            "runs_done": seeds[experiment] - 1,
            "runs_reason": "a trained weight is not finite after the last step",
        }
    unfinished = {"runs_done": 0, "examples": None, "scores": _scores("last_layer", [])}
    pending = {"status": "pending", "reason": "not computed yet: there are no records"}
    failed = {"status": "failed", "reason": "what ran is not what was certified: steps: certified 40, ran 39"}
    named["last_layer-laplace-verified-e0.3"] |= {**unfinished, **pending}
    named["last_layer-laplace-verified-e3"] |= {**unfinished, **failed}
    broken = _mechanism(named["head-lmo_dp_as_drawn-verified-e3"]) | {"law": None, "note": None, **failed}
    return {
        "status": "done",
        "reason": None,
        "spec": {"grid": "made_up", "cells": list(named)},
        "files": {},
        "form": FORM,
        "grid": "made_up",
        "title": "made-up results",
        "keep_records": False,
        "compare": {"asked": "lmo_dp", "standard": "gaussian"},
        "methods": {
            name: {
                "title": title,
                "reference": "nowhere",
                "private": name != "nonprivate",
                "noise_of": "lmo_dp" if name == "lmo_dp_as_drawn" else None,
                **dict.fromkeys(OF_METHOD),
                "clipping": "flat",
                "after_noise": "a filter" if name == "lmo_dp_as_drawn" else None,
            }
            for name, title in METHODS.items()
        },
        "experiments": {name: _experiment(name, number) for name, number in seeds.items()},
        "cells": cells,
        "comparisons": [],
        "choices": [],
        "contrasts": [
            contrast("head", "verified", -0.0114, -0.0131, 0.0003),
            contrast("head", "claimed", 0.029, 0.011, 0.047),
            {**contrast("last_layer", "verified", -0.01, None, None), "seeds": 2},
        ],
        "mechanisms": {
            **{cell["mechanism"]: _mechanism(cell) for cell in cells if cell["status"] == "done"},
            "lmo_dp_as_drawn-verified-e3-3d2c1b0a": broken,
        },
    }


def contrast(experiment: str, calibration: str, difference: float, lower: float | None, upper: float | None) -> dict:
    """Return a pooled contrast of LMO-DP and the Gaussian."""
    ends = {"difference": difference, "lower": lower, "upper": upper}
    sizes = {"seeds": 10, "examples": 2000, "confidence": 0.95, "comparisons": 1}
    return {"experiment": experiment, "calibration": calibration, "epsilons": [0.3, 3.0], **sizes, **ends}


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
        "least_laplace": None,
        "law": None if cell["calibration"] is None else laws.get(cell["method"], mixture),
        "audit_curve": curve,
        "audit_claimed": 0.1 if curve else None,
        "audited_lower": 0.3 if curve else None,
        "audited_delta": 1e-3,
        "audited_confidence": 0.95 if curve else None,
    }


_PRIVACY_FACTS = frozenset([*privacy_columns(None), *audit_columns(None)])


def _cell(experiment: str, row: Row, seeds: int) -> dict[str, Any]:
    runs = [_run(row.accuracy + 0.004 * ((7 * number) % 5 - 2)) for number in range(seeds)] if row.accuracy else []
    done = {"status": "done", "reason": None}
    skipped = {"status": "skipped", "reason": "it is the drawing of a published claim"}
    return {
        "cell": f"{experiment}-{row.name}-0a1b2c3d",
        "experiment": experiment,
        "method": row.method,
        "calibration": row.calibration,
        "epsilon": row.epsilon,
        "delta": None if row.epsilon is None else 1e-10,
        "method_title": METHODS[row.method],
        "mechanism": f"{row.name}-3d2c1b0a",
        "learning_rate": 3e-3 if row.accuracy else None,
        "clip_norm": 1.0 if row.accuracy else None,
        "repetitions": seeds,
        **(done if row.accuracy else skipped),
        "setting": None,
        "runs": [f"{experiment}-{row.name}-r{number:02d}-00000000" for number in range(seeds)],
        **privacy_columns(None),
        **audit_columns(None),
        **(_privacy(row) if row.answers["sigma"] else {}),
        "runs_done": len(runs),
        "runs_reason": None,
        "examples": (200 if experiment == "sentences" else 2000) if runs else None,
        "metric": metrics_of(DATASETS[DATA[experiment]])[0],
        "scores": _scores(experiment, runs),
    }


def _privacy(row: Row) -> dict[str, Any]:
    """What a certificate says, and why it says nothing where it does not."""
    return {
        **{name: row.answers[head] for head, name in COLUMNS.items()},
        "claimed_order": 128,
        "claimed_order_in_domain": False,
        "pure_scalar_reason": "a Gaussian has no epsilon at delta = 0" if row.method == "gaussian" else None,
        "paper_bound_reason": "fewer than two valid orders" if row.answers["paper-run"] is None else None,
        "verified_limit": row.answers["lower"],
        "verified_answer": None if row.answers["lower"] is None else "quick",
        "verified_lower_at_1e-5": 0.8 * row.answers["lower"],
        "verified_upper_at_1e-5": 0.8 * row.answers["upper"],
        "worst_shift": 0.0,
        "noise_mean_abs": row.answers["multiplier"] and 0.7 * row.answers["multiplier"],
        "mu": 0.1,
        "zcdp": 0.01,
        "noise_reason": "the variance is infinite" if row.answers["multiplier"] is None else None,
        "efficiency": 0.4,
    }


def _scores(experiment: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {metric: summarise(metric, runs) for metric in metrics_of(DATASETS[DATA[experiment]])}


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
        "task": name,
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
        "searched": {},
        "held_out": 0,
        "learning_rates": {},
        "optimizer": "adam",
        "schedule": "constant",
        "majority_accuracy": 0.507 if card.labels else None,
        "notes": ["a note on the data"],
    }
