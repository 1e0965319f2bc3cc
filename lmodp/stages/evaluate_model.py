"""The stage evaluate_model: scores of all runs of one cell on the evaluation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lmodp.records.record import make_record, read_record, write_json
from lmodp.records.reuse import stage_code
from lmodp.stages.finetune_model import load_trained, task_of

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.pipeline.layout import Layout


def evaluate_model(cell: Cell, *, layout: Layout, finetune: Mapping[str, Any]) -> dict[str, Any]:
    """Score every run and return the content of the cell's ``evaluate.json``.

    A run that was skipped, failed or diverged keeps its status and reason.
    """
    torch.set_num_threads(cell.spec["threads"])
    if all(run["status"] != "done" for run in finetune["runs"]):
        return {
            "runs": [_unscored(run) for run in finetune["runs"]],
            "status": finetune["status"],
            "reason": finetune["reason"],
        }
    task = task_of(cell, layout)
    return {"runs": [_evaluate_run(run, cell, layout, task) for run in finetune["runs"]]}


def _unscored(run: Mapping[str, Any]) -> dict[str, Any]:
    return {"run": run["run"], "status": run["status"], "reason": run["reason"]}


def _evaluate_run(run: Mapping[str, Any], cell: Cell, layout: Layout, task: Any) -> dict[str, Any]:
    if run["status"] != "done":
        return _unscored(run)
    folder = layout.results / "runs" / run["run"]
    training = read_record(folder / "training.json")
    weights = layout.cache / "cells" / cell.id / f"{run['run']}.safetensors"
    scores = task.score(load_trained(task, training["seeds"]["head_init"], weights))
    record = make_record(
        "evaluate_model",
        {"spec": training["spec"], **scores},
        code=stage_code("evaluate_model"),
        packages=("numpy", "torch", "transformers"),
        inputs={f"runs/{run['run']}/training.json": run["record_sha256"]},
    )
    write_json(folder / "evaluation.json", record)
    numbers = {name: value for name, value in scores.items() if isinstance(value, float)}
    return {
        "run": run["run"],
        "status": "done",
        "reason": None,
        "examples": scores["examples"],
        "reasons": scores.get("reasons", {}),
        **numbers,
    }
