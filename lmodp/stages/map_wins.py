"""The stage map_wins: where could LMO noise need less than the Gaussian at equal verified epsilon?"""

from __future__ import annotations

from typing import Any

from lmodp.mechanisms import PUBLISHED, Laplace
from lmodp.search.win_map import win_map

DIMENSIONS = (1, 4, 16, 64, 256, None)
STEPS = (1, 16, 192)
EPSILON = (0.1, 0.3, 1.0, 3.0)
FAMILIES = {"laplace": Laplace(scale=1.0), "lmo-0.3": PUBLISHED["lmo-0.3"].noise}


def map_wins(delta: float) -> dict[str, Any]:
    """Return the rows of the map for unsampled releases at one delta.

    Args:
        delta: of every target.
    """
    return {
        "delta": delta,
        "rows": win_map(steps=STEPS, epsilon=EPSILON, delta=delta, dimensions=DIMENSIONS, families=FAMILIES),
    }
