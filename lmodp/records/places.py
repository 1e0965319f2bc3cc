"""Where a grid's records lie in its results folder."""

from __future__ import annotations

from pathlib import Path

STAGES_OF_CELL = ("finetune", "evaluate", "verify")


def certificate_path(root: Path, mechanism: str) -> Path:
    """Return the certificate of a mechanism."""
    return root / "mechanisms" / mechanism / "certificate.json"


def cell_records(root: Path, cell: str) -> list[Path]:
    """Return the records of a computed cell, in the order of its stages."""
    return [root / "cells" / cell / f"{name}.json" for name in STAGES_OF_CELL]


def is_finished(root: Path, cell: str) -> bool:
    """Whether a cell has all its records."""
    return all(path.is_file() for path in cell_records(root, cell))
