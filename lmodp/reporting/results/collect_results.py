"""The stage collect_results: one row per cell and one row per run, all from records.

A cell that was skipped, failed or diverged also has a row, with its status and reason; a cell without records is
"pending" (`lmodp.grid.sections.Config.unfinished`). Tables, figures and the report read the files written here:
``results.json`` (cells, mechanisms, comparisons, audits), ``runs.parquet`` and ``curves.parquet``.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lmodp.grid.cells import Cell, Grid
from lmodp.grid.sections import under
from lmodp.mechanisms import Moments
from lmodp.records.places import cell_path, cell_records, is_finished, mechanism_path
from lmodp.records.record import read_record, read_runs
from lmodp.reporting.results import FORM
from lmodp.reporting.results.best import OF_METHOD, choices
from lmodp.reporting.results.metrics import METRICS, metrics_of, summarise
from lmodp.reporting.results.paired import answers_of, compare_cells, pooled_contrasts
from lmodp.reporting.results.privacy_columns import audit_columns, mechanism_facts, privacy_columns
from lmodp.vocabulary import UNTRAINED

PENDING = {"status": "pending", "reason": "not computed yet: there are no records"}
TARGET = ("experiment", "method", "calibration", "epsilon", "delta", "setting")
OF_RUN = ("cell", "run", "repetition")
BESIDE_SCORES = ("missing_scores", "examples", "clipped_share", "conforms")
RUN_COLUMNS = (*OF_RUN, *TARGET, "status", "reason", *METRICS, *BESIDE_SCORES)
OF_CURVE = ("method", "calibration", "epsilon", "experiment")
CURVE_COLUMNS = (*OF_RUN, *OF_CURVE, "step", "quantity", "value")
TRAINING = ("expected_batch_size", "steps", "optimizer", "schedule")
TUNED = ("learning_rate", "clip_norm")
OF_TASK = {"dataset", "source", "model", "model_source", "layers", "trainable", "pooling", "head"}


def collect_results(
    grid: Grid, root: Path, *, runs_file: Path, curves_file: Path, audits: Iterable[Path] = ()
) -> dict[str, Any]:
    """Return the content of ``results.json``; write a row per run, and one per run, step and quantity, as parquet.

    ``root`` is the grid's results folder; ``audits`` are records of `audit_mechanism`, if there are any.
    """
    audited = {path.parent.name: read_record(path) for path in audits}
    collected = [_collect_cell(cell, grid, root, audited) for cell in grid.cells.values()]
    rows, runs = [row for row, _ in collected], [run for _, of_cell in collected for run in of_cell]
    frame = pd.DataFrame(runs, columns=list(RUN_COLUMNS)).astype(dict.fromkeys(METRICS, float))
    frame.to_parquet(runs_file, index=False, compression="zstd")
    answers, compare = answers_of(rows, runs, root), grid.config.compare.model_dump()
    experiments = {name: _describe(name, grid, root) for name in grid.trained}
    tasks = {name: facts["task"] for name, facts in experiments.items()}
    curves = pd.DataFrame(_curves(grid, root), columns=list(CURVE_COLUMNS))
    curves.astype({"value": "float32"}).to_parquet(curves_file, index=False, compression="zstd")  # for a figure
    results = {
        "form": FORM,
        "grid": grid.config.grid,
        "title": grid.config.title,
        "keep_records": grid.config.keep_records,
        "compare": compare,
        "methods": _methods(grid),
        "experiments": experiments,
        "cells": rows,
        "mechanisms": {
            item: mechanism_facts(root, item, audited.get(item))
            for item in grid.mechanisms
            if mechanism_path(root, item, "certify_mechanism").is_file()
        },
        "comparisons": compare_cells(rows, answers, compare["standard"], tasks),
        "contrasts": pooled_contrasts(rows, answers, compare, tasks),
    }
    return {**results, "choices": choices(results, answers)}


def _methods(grid: Grid) -> dict[str, dict[str, Any]]:
    """The methods that occur, in the order of the grid."""
    of_cells = [cell.spec.method for cell in grid.cells.values()]
    facts = ("title", "reference", "private", "noise_of", *OF_METHOD)
    names = dict.fromkeys([*of_cells, *(item.method for item in grid.mechanisms.values())])
    return {name: {fact: getattr(grid.methods[name], fact) for fact in facts} for name in names}


def _collect_cell(
    cell: Cell, grid: Grid, root: Path, audited: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    title, setting = grid.methods[cell.spec.method].title, cell.spec.setting
    row = {
        "cell": cell.id,
        **{name: getattr(cell.spec, name) for name in TARGET},
        "method_title": f"{title}, {setting}" if setting else title,
        "mechanism": cell.mechanism,
        **dict.fromkeys(TUNED),
        "runs": list(cell.runs),
        "repetitions": cell.repetitions,
    }
    metrics = metrics_of(cell.spec.card)
    # Where nothing is trained, nothing depends on the training data.
    none = {"verified_lower": 0.0, "verified_upper": 0.0} if cell.spec.trainable == UNTRAINED else {}
    if cell.skip is not None:
        row |= {"status": cell.skip_status, "reason": cell.skip}
        return {**row, **privacy_columns(None), **none, **audit_columns(None), **_scores([], metrics)}, []
    certificate = mechanism_path(root, cell.mechanism, "certify_mechanism")
    known = read_record(certificate)["certificate"] if certificate.is_file() else None
    privacy = {**privacy_columns(known), **none, **audit_columns(audited.get(cell.mechanism))}
    if not is_finished(root, cell.id):
        return {**row, **PENDING, **privacy, **_scores([], metrics)}, []
    (train, trained), (evaluate, evaluated), (verify, verified) = map(read_runs, cell_records(root, cell.id))
    if cell.spec.trainable != UNTRAINED and not _solves(train):
        row |= {name: (train["tuning"] or {}).get("chosen", {}).get(name) for name in TUNED}
    runs = [_run(cell, *lines) for lines in zip(trained, evaluated, verified, strict=True)]
    worst = verify if verify["status"] != "done" else evaluate
    row |= {"status": worst["status"], "reason": worst["reason"]}
    return {**row, **privacy, **_scores(runs, metrics)}, runs


def _solves(trained: Mapping[str, Any]) -> bool:
    """Whether a cell's runs solve for the weights, so that learning rate and clip norm play no part."""
    return bool((trained["plan"] or {}).get("releases", {}).get("step", {}).get("kind") == Moments.kind)


def _run(
    cell: Cell, training: Mapping[str, Any], evaluation: Mapping[str, Any], verification: Mapping[str, Any]
) -> dict[str, Any]:
    """One row of runs.parquet from the run's lines in the three files of its cell."""
    worst = next((item for item in (training, evaluation, verification) if item["status"] != "done"), verification)
    reasons = evaluation.get("reasons", {})
    return {
        "cell": cell.id,
        "run": training["run"],
        "repetition": training["repetition"],
        **{name: getattr(cell.spec, name) for name in TARGET},
        "status": worst["status"],
        "reason": worst["reason"],
        **{name: evaluation.get(name) for name in METRICS},
        "reasons": reasons,
        "missing_scores": "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or None,
        "examples": evaluation.get("examples"),
        "clipped_share": training.get("clipped_share"),
        "conforms": verification.get("conforms"),
    }


def _curves(grid: Grid, root: Path) -> list[tuple[Any, ...]]:
    """Training loss by step of the first repetition, and scores during training if they were measured."""
    rows: list[tuple[Any, ...]] = []
    for cell in grid.active:
        path = cell_path(root, cell.id, "finetune_model")
        for line in read_runs(path)[1] if path.is_file() else ():
            head = (cell.id, line["run"], line["repetition"], *(getattr(cell.spec, name) for name in OF_CURVE))
            losses = (line.get("per_step") or {}).get("training_loss", [])
            rows += [(*head, step, "training_loss", value) for step, value in enumerate(losses, 1)]
            scored = line.get("evaluations") or []
            rows += [(*head, item["step"], name, item[name]) for item in scored for name in METRICS if name in item]
    return rows


def _scores(runs: list[dict[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    """All scores of a cell; a run counts as finished if it has the main score."""
    scores = {name: summarise(name, runs) for name in metrics}
    return {
        "runs_done": len(scores[metrics[0]]["values"]),
        "runs_reason": next((run["reason"] for run in runs if run["status"] != "done"), None),
        "examples": next((run["examples"] for run in runs if run["examples"] is not None), None),
        "metric": metrics[0],
        "scores": scores,
    }


def _describe(name: str, grid: Grid, root: Path) -> dict[str, Any]:
    """The facts of an experiment that captions need."""
    experiment = grid.config.experiments[name]
    card, model = grid.config.cards[experiment.dataset], grid.config.model_cards[experiment.model]
    cell = next((cell for cell in grid.active if cell.spec.experiment == name), None)
    record = root / "datasets" / cell.dataset / "dataset.json" if cell else None
    data = read_record(record) if record and record.is_file() else {}
    counts = data.get("label_counts", {}).get(card.evaluation_split, {})
    training = experiment.training
    searched = {name: getattr(training.tuning, name, None) or [getattr(training, name)] for name in TUNED}
    alike = (other for other in grid.trained if _task(other, grid) == _task(name, grid))
    return {
        "title": experiment.title,
        "task": next(alike),  # the first experiment of the same question, with a plan of its own
        "dataset_name": experiment.dataset,
        "model_name": experiment.model,
        "dataset": card.title,
        "train_size": card.train_size - training.held_out,
        "evaluation_split": card.evaluation_split,
        "evaluation_size": card.evaluation_size,
        "model": model.title,
        "trainable": experiment.model_dump(mode="json")["trainable"],
        "pooling": cell.spec.pooling if cell else experiment.pooling,
        "repetitions": under(experiment.repetitions, None),
        "metrics": list(metrics_of(card)),
        **{field: getattr(training, field) for field in TRAINING},
        **{name: values[0] for name, values in searched.items()},
        "searched": {name: values for name, values in searched.items() if len(values) > 1},
        "held_out": training.held_out,
        "learning_rates": dict(experiment.learning_rates),
        "majority_accuracy": max(counts.values()) / sum(counts.values()) if counts else None,
        "notes": [*card.notes, *model.notes],
    }


def _task(name: str, grid: Grid) -> tuple[str, int]:
    """What experiments have in common that train the same part of a model on the same examples."""
    experiment = grid.config.experiments[name]
    return experiment.model_dump_json(include=OF_TASK), experiment.training.held_out
