"""``lmodp export``: write a cell's trained model as a folder that transformers loads."""

import argparse
from pathlib import Path

from lmodp.commands.arguments import DEFAULT_GRID, GRID, config_of, find_cell


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help="the cell's id, or the beginning of it; `lmodp show` lists them")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="new folder")
    parser.add_argument("--grid", type=Path, default=DEFAULT_GRID, help=f"{GRID} (default %(default)s)")
    parser.add_argument("--repetition", type=int, default=0, help="whose model, from 0 (default %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from lmodp.grid.cells import Grid
    from lmodp.pipeline.export_model import export_model
    from lmodp.pipeline.layout import Layout

    config = config_of(arguments.grid)
    layout = Layout(config, Grid(config))
    cell = layout.grid.cells[find_cell(arguments.cell, list(layout.grid.cells))]
    export_model(layout, cell, arguments.folder, repetition=arguments.repetition)
    print(f"{cell.id}: written to {arguments.folder}; its README.md says what is private about it")
    return 0
