"""``lmodp diff``: compare two results folders of one grid."""

import argparse
from pathlib import Path

from lmodp.commands.arguments import GRID, read_results


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=Path, metavar="GRID", help=GRID)
    parser.add_argument("second", type=Path, metavar="GRID", help="another one, such as somebody else's run of it")
    parser.add_argument("--all", action="store_true", help="also print what agrees")


def run(arguments: argparse.Namespace) -> int:
    """Print the differences; the exit status is 1 if one is larger than processors explain."""
    first, second = (read_results(grid)[1] for grid in (arguments.first, arguments.second))
    from lmodp.reporting.results.difference import compare_results

    found = compare_results(first, second)
    for item in found:
        if arguments.all or item["differs"]:
            print(f"{'DIFFERS' if item['differs'] else 'agrees':8s} {item['name']}: {item['text']}")
    beyond = sum(item["differs"] for item in found)
    print(f"{len(found)} mechanisms and cells compared, {beyond} differ")
    return 1 if beyond or not found else 0
