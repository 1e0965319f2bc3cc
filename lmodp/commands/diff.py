"""``lmodp diff``: compare two results folders cell by cell."""

import argparse
from pathlib import Path

from lmodp.commands.arguments import GRID, read_results


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=Path, metavar="GRID", help=GRID)
    parser.add_argument("second", type=Path, metavar="GRID", help="another one, such as somebody else's run of it")
    parser.add_argument("--all", action="store_true", help="also print the cells that agree")


def run(arguments: argparse.Namespace) -> int:
    """Print the differences; the exit status is 1 if one is larger than the spread over seeds."""
    first, second = (read_results(grid)[1] for grid in (arguments.first, arguments.second))
    from lmodp.reporting.results.difference import compare_results

    found = compare_results(first, second)
    for item in found:
        if arguments.all or item["differs"]:
            print(f"{'DIFFERS' if item['differs'] else 'agrees':8s} {item['cell']}: {item['text']}")
    beyond = sum(item["differs"] for item in found)
    print(f"{len(found)} cells compared, {beyond} differ")
    return 1 if beyond or not found else 0
