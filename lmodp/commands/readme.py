"""``lmodp readme``: write the README's results block from the records."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmodp.commands.arguments import add_grid, read_grid, read_results


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_grid(parser)
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
    root, _ = read_results(read_grid(arguments))
    from lmodp.reporting.page.readme import write_readme

    for path in write_readme(results_folder=root, readme=arguments.readme, copies=arguments.copies):
        print(path)
    return 0
