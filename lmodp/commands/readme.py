"""``lmodp readme``: write the README's results block from the records."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmodp.errors import MissingFile
from lmodp.reporting.page.readme import write_readme


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--results", type=Path, default=Path("results/quick"), help="a grid's results folder (default: results/quick)"
    )
    parser.add_argument(
        "--readme",
        type=Path,
        default=Path("README.md"),
        help="file that contains the markers of the block (default: README.md)",
    )
    parser.add_argument(
        "--copies",
        type=Path,
        default=Path("docs/readme"),
        help="folder for the copies of figure and table (default: docs/readme)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the block and print what was written."""
    if not (arguments.results / "report.json").is_file():
        raise MissingFile(
            f"results = {str(arguments.results)!r}: must hold a finished grid. Run it first: snakemake --cores all"
        )
    for path in write_readme(results_folder=arguments.results, readme=arguments.readme, copies=arguments.copies):
        print(path)
    return 0
