"""Which figures a grid has, and which records each is drawn from.

This module imports no plotting library: the workflow asks it each time it is parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmodp.pipeline.layout import Layout

FIGURES = {
    "comparison": "Scores against claimed and against verified ε",
    "privacy": "ε of each mechanism: claimed, paper's bound, verified and audited",
    "noises": "The noises: densities and survival functions",
    "wins": "Where LMO noise can win: standard deviation over the Gaussian's at equal verified ε",
    "search": "The search space and the points that qualify",
    "training": "Training curves",
    "audit": "Trade-off curves of the audit",
}


def figure_names(layout: Layout) -> list[str]:
    """Return the figures that a grid can have, in the order of the report."""
    absent = set()
    if not layout.search_records():
        absent.add("search")
    if not layout.mechanism_audits():
        absent |= {"audit"}
    if not any(item.spec["calibration"] for item in layout.grid.mechanisms.values()):
        absent |= {"privacy", "noises", "wins"}
    return [name for name in FIGURES if name not in absent]


def figure_sources(layout: Layout, name: str) -> dict[str, list[str]]:
    """Return what a figure needs beside the table of results."""
    figures = layout.results / "figures"
    if name == "search":
        return {"searches": layout.shown_searches(), "landscape": [str(figures / "landscape.json")]}
    return {"wins": [str(figures / "map_of_wins.json")]} if name == "wins" else {}
