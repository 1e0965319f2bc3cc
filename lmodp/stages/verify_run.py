"""The stage verify_run for a whole cell: every run against the certified plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.auditing.conformance import compare_run
from lmodp.records.record import make_record, read_record, write_json
from lmodp.records.reuse import stage_code
from lmodp.stages.tuning import candidates, tuned

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell


def verify_run(cell: Cell, *, root: Path, finetune: Mapping[str, Any]) -> dict[str, Any]:
    """Verify every run and return the content of the cell's ``verify.json``.

    The certified side is built here from the cell's spec and the certificate, not
    taken from what the run says of itself.

    Args:
        cell: whose runs are compared.
        root: the grid's results folder.
        finetune: the cell's ``finetune.json``.
    """
    certificate = read_record(root / "mechanisms" / cell.mechanism / "certificate.json")
    if certificate["status"] != "done":
        why = {"status": certificate["status"], "reason": certificate["reason"]}
        return {"runs": [{"run": run, **why} for run in cell.runs], **why}
    certified = certified_plan(tuned(cell.spec, _chosen(cell.spec, finetune)), certificate)
    runs = [_verify(run, certified, root) for run in finetune["runs"]]
    wrong = next((run for run in runs if run["status"] != "done"), None)
    if wrong is None:
        return {"runs": runs}
    return {"runs": runs, "status": wrong["status"], "reason": f"{wrong['run']}: {wrong['reason']}"}


def _chosen(spec: Mapping[str, Any], finetune: Mapping[str, Any]) -> dict[str, float]:
    """The pair that was chosen, where it is one that could be; the noise is relative to the clip norm."""
    known = candidates(spec["training"])
    chosen = (finetune.get("tuning") or {}).get("chosen")
    return chosen if chosen in known else known[0]


def certified_plan(spec: Mapping[str, Any], certificate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the certificate speaks of, as plain values like `Plan.to_dict`."""
    asked = certificate["spec"]
    private = certificate["noise"] is not None
    return {
        "noise": certificate["noise"],
        "sampling_rate": asked["expected_batch_size"] / asked["dataset_size"],
        "steps": asked["steps"],
        "delta": asked["delta"],
        "clip_norm": spec["training"]["clip_norm"] if private else None,
        "clipping": spec["clipping"],
        "noise_scale": None,
        "dataset_size": asked["dataset_size"],
        "adjacency": "add_or_remove_one",
        "sampler": "poisson",
        "engine": spec["engine"],
    }


def _verify(run: Mapping[str, Any], certified: Mapping[str, Any], root: Path) -> dict[str, Any]:
    if run["status"] != "done":
        return {"run": run["run"], "status": run["status"], "reason": run["reason"], "conforms": None}
    folder = root / "runs" / run["run"]
    result = compare_run(certified=certified, ran=read_record(folder / "training.json"))
    status = "done" if result["conforms"] else "failed"
    reason = None if result["conforms"] else f"what ran is not what was certified: {result['reason']}"
    record = make_record(
        "verify_run",
        {"run": run["run"], "conforms": result["conforms"], "checks": result["checks"]},
        code=stage_code("verify_run"),
        inputs={f"runs/{run['run']}/training.json": run["record_sha256"]},
        status=status,
        reason=reason,
    )
    write_json(folder / "verification.json", record)
    return {"run": run["run"], "status": status, "reason": reason, "conforms": result["conforms"]}
