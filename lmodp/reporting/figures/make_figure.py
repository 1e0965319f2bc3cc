"""The stage make_figure: every figure of the report, drawn from records.

A figure is a module in this package with two functions: ``draw(results, sources)``,
which returns a `matplotlib` figure, and ``caption(results)``. Its name and title are
in `lmodp.reporting.figures.catalogue`.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmodp.reporting.figures import audit, choice, comparison, demonstration, noises, privacy, search, training, wins
from lmodp.reporting.figures.catalogue import FIGURES
from lmodp.reporting.figures.style import missing_characters, save, style
from lmodp.reporting.formats import as_written, plain_list

MOST_CELLS = 600  # in a figure
DRAWN = (comparison, choice, demonstration, privacy, noises, wins, search, training, audit)
MODULES = {module.__name__.rpartition(".")[2]: module for module in DRAWN}


def make_figure(
    name: str, results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]], *, svg: Path, pdf: Path
) -> dict[str, Any]:
    """Draw one of `FIGURES` from ``results.json`` and further records and tables; return its title and caption."""
    module, shown = MODULES[name], fewer(as_written(results))
    with style():
        figure = module.draw(shown, sources)
        missing = missing_characters(figure)
        save(figure, svg=svg, pdf=pdf)
    lacking = f" The figure's font lacks {plain_list([f'{x} (U+{ord(x):04X})' for x in missing])}." if missing else ""
    some = f" Shown are {len(shown['cells'])} of {len(results['cells'])} cells; the tables have all."
    left_out = some if len(shown["cells"]) < len(results["cells"]) else ""
    return {"figure": name, "title": FIGURES[name], "caption": module.caption(shown) + lacking + left_out}


def fewer(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return results of at most `MOST_CELLS` cells or so: of more targets than that, every second, third and so on.

    A target keeps all its methods. Nobody can read a figure of thousands, nor wait for it.
    """
    of_cell = [(cell["experiment"], cell["calibration"], cell["epsilon"]) for cell in results["cells"]]
    every = math.ceil(len(of_cell) / MOST_CELLS)
    if every == 1:
        return results
    targets = enumerate(dict.fromkeys(of_cell))
    kept = {target for number, target in targets if target[1] is None or number % every == 0}
    cells = [cell for cell, target in zip(results["cells"], of_cell, strict=True) if target in kept]
    names, mechanisms = {cell["cell"] for cell in cells}, {cell["mechanism"] for cell in cells}
    return {
        **results,
        "cells": cells,
        "mechanisms": {key: value for key, value in results["mechanisms"].items() if key in mechanisms},
        "comparisons": [item for item in results["comparisons"] if item["cell"] in names],
    }
