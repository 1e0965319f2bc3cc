"""``lmodp readme``: write the README's results block from the records."""

import argparse
from pathlib import Path

from lmodp.commands.arguments import add_grid, read_grid, read_results


def configure(parser: argparse.ArgumentParser) -> None:
    add_grid(parser)
    markers = "file that contains the markers of the block (default: %(default)s)"
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help=markers)
    copies = "folder for the copies of figure and table (default: %(default)s)"
    parser.add_argument("--copies", type=Path, default=Path("docs/readme"), help=copies)


def run(arguments: argparse.Namespace) -> int:
    root, _ = read_results(read_grid(arguments), rendered=True)
    from lmodp.reporting.page.readme import write_readme

    for path in write_readme(results_folder=root, readme=arguments.readme, copies=arguments.copies):
        print(path)
    return 0
