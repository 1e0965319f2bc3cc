"""The stage collect_results: one row a cell, one row a run, everything from records.

A cell that was skipped, failed or diverged is a row too, with its status and
reason. Tables, figures and the report read these two tables and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from lmodp.data.registry import DATASETS
from lmodp.grid import Cell, Grid
from lmodp.models.registry import MODELS
from lmodp.records import read_record


def collect_results(grid: Grid, root: Path, runs_file: Path) -> dict[str, Any]:
    """Return the content of ``results.json`` and write the runs as parquet.

    Args:
        grid: the grid's cells, skipped ones included.
        root: the grid's results folder.
        runs_file: parquet file to write, one row a run.
    """
    rows, runs = [], []
    for cell in grid.cells.values():
        row, cell_runs = _collect_cell(cell, grid, root)
        rows.append(row)
        runs += cell_runs
    for row in rows:
        row["nonprivate_accuracy"] = _nonprivate(rows, row["experiment"])
    pd.DataFrame(runs, columns=RUN_COLUMNS).to_parquet(runs_file, index=False)
    experiments = {name: _describe(name, grid, root) for name in grid.config.experiments}
    return {"grid": grid.config.grid, "title": grid.config.title, "methods": _methods(grid), "experiments": experiments,
            "cells": rows, "comparisons": []}


def _methods(grid: Grid) -> dict[str, dict[str, Any]]:
    """The methods that occur, in the order of the grid."""
    names = dict.fromkeys(cell.spec["method"] for cell in grid.cells.values())
    found = {name: grid.methods[name] for name in names}
    return {name: {"title": method.title, "reference": method.reference, "private": method.private} for name, method in found.items()}


RUN_COLUMNS = ("cell", "run", "repetition", "experiment", "method", "calibration", "epsilon", "delta", "status", "reason",
               "accuracy", "examples", "clipped_share", "conforms")  # fmt: skip


def _collect_cell(cell: Cell, grid: Grid, root: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    method = grid.methods[cell.spec["method"]]
    names = ("experiment", "method", "calibration", "epsilon", "delta")
    row = {"cell": cell.id, **{name: cell.spec[name] for name in names}, "method_title": method.title,
           "mechanism": cell.mechanism, "repetitions": cell.repetitions}
    if cell.skip is not None:
        return {**row, "status": cell.skip_status, "reason": cell.skip, **_privacy(None), **_scores([])}, []
    finetune, evaluate, verify = (read_record(root / "cells" / cell.id / f"{name}.json")
                                  for name in ("finetune", "evaluate", "verify"))
    runs = [_run(cell, number, finetune["runs"], evaluate["runs"], verify["runs"])
            for number in range(len(finetune["runs"]))]
    certificate = read_record(root / "mechanisms" / cell.mechanism / "certificate.json")
    row |= {"status": verify["status"], "reason": verify["reason"]}
    return {**row, **_privacy(certificate["certificate"]), **_scores(runs)}, runs


def _run(cell: Cell, number: int, trained: list, evaluated: list, verified: list) -> dict[str, Any]:
    training, evaluation, verification = trained[number], evaluated[number], verified[number]
    worst = next((item for item in (training, evaluation, verification) if item["status"] != "done"), verification)
    names = ("experiment", "method", "calibration", "epsilon", "delta")
    return {
        "cell": cell.id,
        "run": training["run"],
        "repetition": number,
        **{name: cell.spec[name] for name in names},
        "status": worst["status"],
        "reason": worst["reason"],
        "accuracy": evaluation.get("accuracy"),
        "examples": evaluation.get("examples"),
        "clipped_share": training.get("clipped_share"),
        "conforms": verification.get("conforms"),
    }


def _privacy(certificate: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns of the privacy answers; all null where there is no statement."""
    parts = certificate or {"claimed": {}, "theorem": {}, "pure_scalar": {}, "verified": {}, "noise": {}}
    claimed, theorem, pure, verified, noise = (parts[name] for name in ("claimed", "theorem", "pure_scalar", "verified", "noise"))
    return {
        "claimed_step": claimed.get("epsilon_step"),
        "claimed_run": claimed.get("epsilon_total"),
        "claimed_run_nominal": claimed.get("epsilon_total_nominal"),
        "claimed_order": claimed.get("order"),
        "claimed_order_in_domain": claimed.get("order_in_domain"),
        "claimed_reason": claimed.get("reason") or None,
        "pure_scalar_step": theorem.get("epsilon_pure_scalar"),
        "pure_scalar_reason": pure.get("reason") or None,
        "theorem_step": theorem.get("epsilon_step"),
        "theorem_run": theorem.get("epsilon_total"),
        "theorem_reason": theorem.get("reason") or None,
        "verified_lower": verified.get("epsilon_lower"),
        "verified_limit": verified.get("epsilon_gaussian_limit"),
        "verified_upper": verified.get("epsilon_upper"),
        "verified_reason": verified.get("reason") or None,
        "mu": verified.get("mu"),
        "zcdp": verified.get("zcdp"),
        "noise_std": noise.get("std"),
        "noise_reason": noise.get("reason") or None,
        "sigma_effective": verified.get("sigma_effective"),
        "efficiency": noise.get("efficiency"),
    }


def _scores(runs: list[dict[str, Any]]) -> dict[str, Any]:
    values = [run["accuracy"] for run in runs if run["status"] == "done" and run["accuracy"] is not None]
    return {
        "runs_done": len(values),
        "runs_reason": next((run["reason"] for run in runs if run["status"] != "done"), None),
        "accuracies": values,
        "accuracy": fmean(values) if values else None,
        "accuracy_spread": stdev(values) if len(values) > 1 else None,
        "accuracy_lowest": min(values, default=None),
        "accuracy_highest": max(values, default=None),
    }


def _nonprivate(rows: list[dict[str, Any]], experiment: str) -> float | None:
    found = (row["accuracy"] for row in rows if row["experiment"] == experiment and row["calibration"] is None)
    return next(found, None)


def _describe(name: str, grid: Grid, root: Path) -> dict[str, Any]:
    """What a caption says of an experiment."""
    experiment = grid.config.experiments[name]
    card, model = DATASETS[experiment.dataset], MODELS[experiment.model]
    cell = next((cell for cell in grid.active if cell.spec["experiment"] == name), None)
    data = read_record(root / "datasets" / cell.dataset / "dataset.json") if cell else None
    counts = data["label_counts"][card.evaluation_split] if data else {}
    return {
        "title": experiment.title,
        "dataset": card.title,
        "train_size": card.train_size,
        "evaluation_split": card.evaluation_split,
        "evaluation_size": card.evaluation_size,
        "model": model.title,
        "trainable": experiment.model_dump(mode="json")["trainable"],
        "pooling": experiment.pooling,
        "repetitions": experiment.repetitions,
        "expected_batch_size": experiment.training.expected_batch_size,
        "steps": experiment.training.steps,
        "clip_norm": experiment.training.clip_norm,
        "learning_rate": experiment.training.learning_rate,
        "optimizer": experiment.training.optimizer,
        "schedule": experiment.training.schedule,
        "majority_accuracy": max(counts.values()) / sum(counts.values()) if counts else None,
        "notes": [*card.notes, *model.notes],
    }
