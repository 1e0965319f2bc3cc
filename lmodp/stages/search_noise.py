"""The stage search_noise: one run of the offline noise search."""

from collections.abc import Mapping
from typing import Any

from lmodp.errors import Unsupported
from lmodp.search.grid_search import find_noise


def search_noise(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Run a search and return the content of ``search.json``; an unreachable target is a status and a reason."""
    try:
        found = find_noise(**spec)
    except Unsupported as error:
        return {"noise": None, "status": "skipped", "reason": str(error)}
    return {
        "noise": found.noise.to_dict(),
        "epsilon": found.epsilon,
        "value": found.value,
        "point": found.point,
        "qualifying": found.qualifying,
        "valid": found.valid,
        "points": found.points,
    }
