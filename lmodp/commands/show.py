"""``lmodp show``: print where a cell's results come from."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from lmodp.commands.arguments import add_grid, find_cell, read_grid, read_results
from lmodp.records.places import timings_of
from lmodp.reporting.results.provenance import cell_provenance


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_grid(parser)
    parser.add_argument(
        "--cell", help="the cell's id, or the beginning of it; without this option all cells are listed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the cells, or one cell with its scores, answers, provenance, timing and commit."""
    root, results = read_results(read_grid(arguments))
    cells = results["cells"]
    if arguments.cell is None:
        for cell in cells:
            print(f"{cell['cell']:64s} {cell['status']:9s} {cell['reason'] or ''}".rstrip())
        return 0
    cell = {item["cell"]: item for item in cells}[find_cell(arguments.cell, [item["cell"] for item in cells])]
    facts = {
        "results": cell,
        **cell_provenance(cell, root),
        "timing": timings_of(root, cell["cell"]),
    }
    print(json.dumps({**facts, "commit": _commit(cell, root)}, indent=1, ensure_ascii=False))
    return 0


def _commit(cell: dict[str, Any], root: Path) -> str | None:
    """The commit that last changed the cell's records, if the folder is in git."""
    place = root / "cells" / cell["cell"]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "log", "-1", "--format=%H", "--", str(place.resolve())],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
