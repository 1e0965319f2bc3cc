"""``lmodp show``: print where a cell's results come from."""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from lmodp.commands.arguments import add_grid, find_cell, read_grid, read_results
from lmodp.records.places import timings_of
from lmodp.reporting.results.provenance import cell_provenance


def configure(parser: argparse.ArgumentParser) -> None:
    add_grid(parser)
    parser.add_argument("--cell", help="the cell's id, or the beginning of it; without it all cells are listed")


def run(arguments: argparse.Namespace) -> int:
    root, results = read_results(read_grid(arguments))
    cells = results["cells"]
    if arguments.cell is None:
        for cell in cells:
            print(f"{cell['cell']:64s} {cell['status']:9s} {cell['reason'] or ''}".rstrip())
        return 0
    cell = {item["cell"]: item for item in cells}[find_cell(arguments.cell, [item["cell"] for item in cells])]
    facts = {"results": cell, **cell_provenance(cell, root), "timing": timings_of(root, cell["cell"])}
    print(json.dumps({**facts, "commit": _commit(cell, root)}, indent=1, ensure_ascii=False))
    return 0


def _commit(cell: dict[str, Any], root: Path) -> str | None:
    """The commit that last changed the cell's records, if the folder is in git."""
    place = root / "cells" / cell["cell"]
    command = ["git", "-C", str(root), "log", "-1", "--format=%H", "--", str(place.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
