"""The stage verify_run: every run of a cell against the certified plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lmodp.auditing.conformance import compare_run, compare_untrained
from lmodp.mechanisms import released
from lmodp.plan import Plan
from lmodp.records.runs import run_head
from lmodp.specs import CellSpec, MechanismSpec
from lmodp.vocabulary import UNTRAINED

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.stages.cell_runs import CellRuns


def verify_run(cell: Cell, runs: CellRuns, certificate: Mapping[str, Any]) -> dict[str, Any]:
    """Compare every run and return the content of the cell's ``verification.jsonl``."""
    finetune, lines = runs.trained()[0], runs.full_lines()
    if certificate["status"] != "done":
        why = {"status": certificate["status"], "reason": certificate["reason"]}
        return {"runs": [{**run_head(line), **why, "conforms": None} for line in lines], **why}
    plan = certified_plan(cell.spec, certificate, finetune)
    compared = [_compare(line, plan, cell.spec) for line in lines]
    wrong = next((run for run in compared if run["status"] != "done"), None)
    if wrong is None:
        return {"runs": compared}
    return {"runs": compared, "status": wrong["status"], "reason": f"{wrong['run']}: {wrong['reason']}"}


def certified_plan(spec: CellSpec, certificate: Mapping[str, Any], finetune: Mapping[str, Any]) -> Plan:
    """Return what the certificate speaks of, for this cell.

    Rate, steps and noise are the certificate's. Its noise is relative to the clip norm, so that it holds for
    whichever pair of learning rate and clip norm was chosen, if that pair is one that could be chosen.
    """
    known = spec.training.candidates
    chosen = (finetune.get("tuning") or {}).get("chosen")
    tuned = spec.tuned(chosen if chosen in known else known[0]).plan(None)
    asked = MechanismSpec.from_dict(certificate["spec"]).plan(**released(certificate))
    return replace(asked, clip_norm=tuned.clip_norm, clipping=tuned.clipping)


def _compare(line: Mapping[str, Any], plan: Plan, spec: CellSpec) -> dict[str, Any]:
    if line["status"] != "done":
        return {**run_head(line), "conforms": None}
    untrained = spec.trainable == UNTRAINED
    result = compare_untrained(line) if untrained else compare_run(plan, line, engine=spec.engine)
    why = {"status": "done", "reason": None}
    if not result["conforms"]:
        why = {"status": "failed", "reason": f"what ran is not what was certified: {result['reason']}"}
    return {**run_head(line), **why, "conforms": result["conforms"], "checks": result["checks"]}
