"""Where a cell comes from: its spec, code and package versions of each stage, and the hashes of the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.records.places import CELL_FILES, audit_path, cell_path, certificate_path, noise_path
from lmodp.records.record import read_record


def cell_provenance(cell: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return a cell's provenance as plain values.

    Args:
        cell: its row in ``results.json``.
        root: the grid's results folder.
    """
    names = ("cell", "status", "reason", "mechanism")
    facts: dict[str, Any] = {name: cell[name] for name in names}
    mechanism = cell["mechanism"]
    records = {stage: cell_path(root, cell["cell"], stage) for stage in CELL_FILES}
    records |= {
        "calibrate_noise": noise_path(root, mechanism),
        "certify_mechanism": certificate_path(root, mechanism),
        "audit_mechanism": audit_path(root, mechanism),
    }
    found = {stage: read_record(path) for stage, path in records.items() if path.is_file()}
    if "finetune_model" in found:
        facts |= {name: found["finetune_model"].get(name) for name in ("spec", "plan", "released", "randomness")}
    facts["made by"] = {
        stage: {"code": record["created_by"]["code"], "status": record["status"], "sha256": record["sha256"]}
        for stage, record in found.items()
    }
    facts["versions"] = {
        key: value for record in found.values() for key, value in record["created_by"]["versions"].items()
    }
    parents = ("finetune_model", "certify_mechanism")
    facts["inputs"] = {stage: found[stage]["inputs"] for stage in parents if stage in found}
    return facts
