"""``lmodp summary``: print a grid's main table, and the paths of its figures and report."""

import argparse

from lmodp.commands.arguments import add_grid, read_grid, read_results
from lmodp.pipeline.console import typed


def configure(parser: argparse.ArgumentParser) -> None:
    add_grid(parser)


def run(arguments: argparse.Namespace) -> int:
    root, results = read_results(read_grid(arguments), rendered=True)
    from lmodp.reporting.page.answer import answer
    from lmodp.reporting.tables.terminal import comparison_text

    print(*answer(results), "", comparison_text(results), sep="\n")
    places = {"table": root / "tables" / "comparison.md", "figures": root / "figures", "report": root / "report.html"}
    lines = [f"{name:8s} {path}" for name, path in places.items() if path.exists()]
    print("", *lines, f"a cell   {typed('lmodp')} show {root} --cell ID", sep="\n")
    return 0
