"""``lmodp summary``: print a grid's main table, and the paths of its figures and report."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmodp.errors import MissingFile
from lmodp.grid.config import load_config
from lmodp.records.record import read_record
from lmodp.reporting.page.answer import answer
from lmodp.reporting.tables.terminal import comparison_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--configfile", type=Path, default=Path("config/quick.yaml"), help="the grid (default: config/quick.yaml)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answer, the tables and the places."""
    root = load_config(arguments.configfile).results
    path = root / "tables" / "results.json"
    if not path.is_file():
        command = f"snakemake --configfile {arguments.configfile}"
        raise MissingFile(f"results = {str(path)!r}: is not there. Run the grid first: {command}")
    results = read_record(path)
    print(*answer(results), "", comparison_text(results), sep="\n")
    print(
        "",
        f"table    {root / 'tables' / 'comparison.md'}",
        f"figures  {root / 'figures'}",
        f"report   {(root / 'report.html').resolve().as_uri()}",
        sep="\n",
    )
    return 0
