"""Where every record lies in a grid's results folder, and every bulky file in its cache."""

import json
from pathlib import Path
from typing import Any

CHECKSUMS = "checksums.json"  # SHA-256 of the bulky files of a folder
STAMP = "complete.json"  # copy of a record beside the bulky files that it speaks of
MECHANISM_FILES = {
    "calibrate_noise": "noise.json",
    "certify_mechanism": "certificate.json",
    "audit_mechanism": "audit.json",
}
CELL_FILES = {
    "finetune_model": "training.jsonl",
    "evaluate_model": "evaluation.jsonl",
    "verify_run": "verification.jsonl",
    "audit_training": "audit.json",
}
TIMING = "timing.jsonl"


def mechanism_path(root: Path, mechanism: str, stage: str) -> Path:
    """Return a record of a mechanism by its stage."""
    return root / "mechanisms" / mechanism / MECHANISM_FILES[stage]


def cell_path(root: Path, cell: str, stage: str) -> Path:
    """Return a record of a cell by its stage."""
    return root / "cells" / cell / CELL_FILES[stage]


def timing_path(root: Path, cell: str) -> Path:
    """Return the measured times of a cell's runs, which are no record."""
    return root / "cells" / cell / TIMING


def timings_of(root: Path, cell: str) -> list[dict[str, Any]]:
    """Return the measured times of a cell's runs, those that are known."""
    path = timing_path(root, cell)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def cell_records(root: Path, cell: str) -> list[Path]:
    """Return the records that every computed cell has, in the order of its stages."""
    return [cell_path(root, cell, stage) for stage in ("finetune_model", "evaluate_model", "verify_run")]


def is_finished(root: Path, cell: str) -> bool:
    """Whether a cell has all its records."""
    return all(path.is_file() for path in cell_records(root, cell))
