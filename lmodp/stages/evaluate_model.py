"""The stage evaluate_model: scores of all runs of one cell on the evaluation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lmodp.stages.cell_runs import CellRuns
from lmodp.stages.finetune_model import load_trained

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell


def evaluate_model(cell: Cell, runs: CellRuns) -> dict[str, Any]:
    """Score every run and return the content of the cell's ``evaluation.jsonl``.

    A run that was skipped, failed or diverged keeps its status and reason.
    """
    torch.set_num_threads(cell.spec.threads)
    finetune, lines = runs.trained()
    scored = {"runs": [_score(line, runs) for line in lines]}
    if any(line["status"] == "done" for line in lines):
        return scored
    return {**scored, "status": finetune["status"], "reason": finetune["reason"]}


def _score(line: Mapping[str, Any], runs: CellRuns) -> dict[str, Any]:
    head = {name: line[name] for name in ("run", "repetition", "status", "reason")}
    if line["status"] != "done":
        return head
    model = load_trained(runs.task, line["seeds"]["head_init"], runs.weights(line["run"]))
    return {**head, **runs.task.score(model)}
