"""What made a cell: its spec, the stages' code and versions, and the hashes that tie them together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.records.record import read_record

STAGES_OF_CELL = ("finetune", "evaluate", "verify", "audit")
STAGES_OF_MECHANISM = ("noise", "certificate", "audit")


def cell_provenance(cell: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return a cell's provenance as plain values.

    Args:
        cell: its row in ``results.json``.
        root: the grid's results folder.
    """
    facts: dict[str, Any] = {"cell": cell["cell"], "status": cell["status"], "reason": cell["reason"], "mechanism": cell["mechanism"]}
    records = {name: root / "cells" / cell["cell"] / f"{name}.json" for name in STAGES_OF_CELL}
    records |= {f"mechanism {name}": root / "mechanisms" / cell["mechanism"] / f"{name}.json" for name in STAGES_OF_MECHANISM}
    found = {name: read_record(path) for name, path in records.items() if path.is_file()}
    if "finetune" in found:
        facts["spec"] = found["finetune"]["spec"]
        facts["plan"] = found["finetune"].get("plan")
    facts["made by"] = {name: {"rule": record["created_by"]["rule"], "code": record["created_by"]["code"], "status": record["status"]}
                        for name, record in found.items()}
    facts["versions"] = {key: value for record in found.values() for key, value in record["created_by"]["versions"].items()}
    facts["inputs"] = {name: record["inputs"] for name, record in found.items() if name in ("finetune", "mechanism certificate")}
    return facts
