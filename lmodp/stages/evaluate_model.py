"""The stage evaluate_model: scores of all runs of one cell on the evaluation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lmodp.records.record import write_json
from lmodp.records.runs import run_head
from lmodp.stages.cell_runs import CellRuns
from lmodp.stages.finetune_model import load_trained, seeds_of

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell

UNTOLD = (
    "the scored split is not declared public (public_scores), so its scores are not published; "
    "they are in the private folder of the cell's cache"
)


def evaluate_model(cell: Cell, runs: CellRuns) -> dict[str, Any]:
    """Score every run and return the content of the cell's ``evaluation.jsonl``.

    A run that was skipped, failed or diverged keeps its status and reason. The scores of a release are published
    only if the configuration declares the scored split public; otherwise they stay in the private folder.
    """
    torch.set_num_threads(cell.spec.threads)
    finetune, lines = runs.trained()
    scored = {"runs": [_score(line, runs) for line in lines]}
    if cell.spec.randomness == "entropy" and not cell.spec.public_scores:
        write_json(runs.scores, scored)
        untold = {"status": "skipped", "reason": UNTOLD}
        return {"runs": [{**run_head(line), **untold} for line in lines], **untold}
    if any(line["status"] == "done" for line in lines):
        return scored
    return {**scored, "status": finetune["status"], "reason": finetune["reason"]}


def _score(line: Mapping[str, Any], runs: CellRuns) -> dict[str, Any]:
    if line["status"] != "done":
        return run_head(line)
    seeds = seeds_of(runs.cell.spec, line["repetition"])
    model = load_trained(runs.task, seeds["head_init"], runs.weights(line["run"]))
    return {**run_head(line), **runs.task.score(model)}
