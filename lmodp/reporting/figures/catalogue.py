"""Which figures a grid has.

This module imports no plotting library, because the workflow imports it each time it is parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmodp.grid.cells import Grid

FIGURES = {
    "comparison": "Noise, claims and scores beside the verified ε",
    "choice": "What should I use at my ε?",
    "demonstration": "Further scores: other settings, methods and models, some of few seeds or few steps",
    "privacy": "ε of each mechanism: claimed, paper's bound, verified and audited",
    "noises": "The noises: densities and survival functions",
    "wins": "Where optimised noise wins: few numbers, few releases",
    "search": "The search space and the points that qualify",
    "training": "Training curves",
    "audit": "Trade-off curves of the audit",
}


def figure_names(grid: Grid, *, searched: bool, audited: bool) -> list[str]:
    """Return the figures that a grid can have, whether searched and audited or not, in the order of the report."""
    private = any(spec.calibration for spec in grid.mechanisms.values())
    there = {"search": searched, "audit": audited, **dict.fromkeys(("privacy", "noises", "wins"), private)}
    return [name for name in FIGURES if there.get(name, True)]
