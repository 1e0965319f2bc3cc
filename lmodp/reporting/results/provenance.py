"""Where a cell comes from: its spec, code and package versions of each stage, and the hashes of the inputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.records.places import CELL_FILES, MECHANISM_FILES, cell_path, mechanism_path
from lmodp.records.record import read_record


def cell_provenance(cell: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return the provenance of a cell of ``results.json`` as plain values; ``root`` is the grid's results folder."""
    facts: dict[str, Any] = {name: cell[name] for name in ("cell", "status", "reason", "mechanism")}
    records = {stage: cell_path(root, cell["cell"], stage) for stage in CELL_FILES}
    records |= {stage: mechanism_path(root, cell["mechanism"], stage) for stage in MECHANISM_FILES}
    found = {stage: read_record(path) for stage, path in records.items() if path.is_file()}
    if "finetune_model" in found:
        facts |= {name: found["finetune_model"].get(name) for name in ("spec", "plan", "released", "randomness")}
    facts["made by"], facts["versions"] = {}, {}
    for stage, record in found.items():
        made = record["created_by"]
        facts["made by"][stage] = {"code": made["code"], "status": record["status"], "sha256": record["sha256"]}
        facts["versions"] |= made["versions"]
    parents = ("finetune_model", "certify_mechanism")
    facts["inputs"] = {stage: found[stage]["inputs"] for stage in parents if stage in found}
    return facts
