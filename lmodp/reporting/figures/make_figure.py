"""The stage make_figure: every figure of the report, drawn from records.

A figure is a module in this package with two functions: ``draw(results, sources)``,
which returns a `matplotlib` figure, and ``caption(results)``. Its name and title are
in `lmodp.reporting.figures.catalogue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmodp.reporting.figures import audit, comparison, demonstration, noises, privacy, search, training, wins
from lmodp.reporting.figures.catalogue import FIGURES
from lmodp.reporting.figures.style import missing_characters, save, style
from lmodp.reporting.formats import as_written, plain_list

MODULES = {
    "comparison": comparison,
    "demonstration": demonstration,
    "privacy": privacy,
    "noises": noises,
    "wins": wins,
    "search": search,
    "training": training,
    "audit": audit,
}


def make_figure(
    name: str, results: Mapping[str, Any], sources: Mapping[str, Sequence[Path]], *, svg: Path, pdf: Path
) -> dict[str, Any]:
    """Draw one figure and return its title and caption.

    Args:
        name: key in `FIGURES`.
        results: content of ``results.json``.
        sources: further records and tables, by name.
        svg, pdf: files to write.
    """
    module, shown = MODULES[name], as_written(results)
    with style():
        figure = module.draw(shown, sources)
        missing = missing_characters(figure)
        save(figure, svg=svg, pdf=pdf)
    lacking = f" The figure's font lacks {plain_list([f'{x} (U+{ord(x):04X})' for x in missing])}." if missing else ""
    return {"figure": name, "title": FIGURES[name], "caption": module.caption(shown) + lacking}
