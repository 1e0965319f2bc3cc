"""The stage make_figure: every figure of the report, drawn from records.

A figure is a module in this package with two functions: ``draw(results, sources)``,
which returns a `matplotlib` figure, and ``caption(results)``. Its name and title are
in `lmodp.reporting.figures.catalogue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmodp.reporting.figures import audit, comparison, noises, privacy, search, training, wins
from lmodp.reporting.figures.catalogue import FIGURES
from lmodp.reporting.figures.style import save, style

MODULES = {
    "comparison": comparison,
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
    module = MODULES[name]
    with style():
        save(module.draw(results, sources), svg=svg, pdf=pdf)
    return {"figure": name, "title": FIGURES[name], "caption": module.caption(results)}
