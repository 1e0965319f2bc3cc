"""The stage map_space: every point of the searched space under every accountant, for the search figure.

Searches of one space at one delta walk the same points: what differs is the target.
So the points are kept once a grid, and each search keeps what it found.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.search.grid_search import deviations, landscape, write_trace
from lmodp.search.space import load_space
from lmodp.vocabulary import ACCOUNTANTS


def map_space(spec: Mapping[str, Any], *, points_file: Path) -> dict[str, Any]:
    """Write every point of a space and return how many qualify under each accountant at each target, of one step.

    ``points_file`` (parquet) has a row a point in the order of the walk: the parts' parameters, ``std`` of the noise,
    and ``step_ACCOUNTANT``, infinite where an accountant has no epsilon.
    """
    space = load_space(spec["space"])
    steps = landscape(space, delta=spec["delta"])
    write_trace({**space.columns(), "std": deviations(space), **steps}, points_file)
    qualifying = [
        {"epsilon": target, **{name: int((steps[f"step_{name}"] < target).sum()) for name in ACCOUNTANTS}}
        for target in spec["epsilon"]
    ]
    return {"points": space.points, "qualifying": qualifying}
