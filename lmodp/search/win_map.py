"""Where can LMO noise win? The required noise multiplier by dimension, steps and epsilon.

At equal verified epsilon (the RDP bound for every family) the noise multipliers are
compared with the Gaussian's. In many dimensions every Laplace mixture needs at least
sqrt(2) times the Gaussian's; for few releases of few numbers it can need less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lmodp.accounting.calibration import scale_to_target, split_scale
from lmodp.errors import Unsupported
from lmodp.mechanisms import PUBLISHED, Laplace, Noise

COLUMNS = (
    "family",
    "dimension",
    "steps",
    "epsilon",
    "delta",
    "sampling_rate",
    "efficiency",
    "noise_multiplier",
    "gaussian_noise_multiplier",
    "noise_ratio",
    "bound",
    "status",
    "reason",
)
DIMENSIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, None)


def default_families() -> dict[str, Noise]:
    """Return the plain Laplace and two published shapes."""
    return {"laplace": Laplace(scale=1.0), **{name: PUBLISHED[name].noise for name in ("lmo-0.3", "lmo-3")}}


def win_map(
    *,
    steps: Iterable[int],
    epsilon: Iterable[float],
    delta: float,
    dimensions: Iterable[int | None] = DIMENSIONS,
    sampling_rate: float = 1.0,
    families: Mapping[str, Noise] | None = None,
    rigorous: bool = False,
) -> list[dict[str, Any]]:
    """Return one row per family, dimension, steps and epsilon, with `COLUMNS` as keys.

    Args:
        dimensions: numbers of coordinates; None for many (null in the row).
        families: shapes by name; the plain Laplace and two published shapes by default.
        rigorous: calibrate finite dimensions above 1 on the bound (``bound`` = "supremum", minutes)
            instead of on the evenly spread shift ("even_split", exact wherever the Renyi curve is concave).

    Returns:
        rows; a cell without an answer has ``status`` "unsupported" and the reason.
    """
    shapes = default_families() if families is None else families
    rows = []
    for count in steps:
        for target in epsilon:
            run = {"epsilon": target, "delta": delta, "sampling_rate": sampling_rate, "steps": count}
            rows += [
                _row(name, shape, dimension, run, rigorous)
                for name, shape in shapes.items()
                for dimension in dimensions
            ]
    return rows


def _row(name: str, shape: Noise, dimension: int | None, run: dict[str, Any], rigorous: bool) -> dict[str, Any]:
    exact = rigorous or dimension in (None, 1)
    row = {
        "family": name,
        "dimension": dimension,
        **run,
        "efficiency": shape.efficiency,
        "bound": "supremum" if exact else "even_split",
        "noise_multiplier": None,
        "gaussian_noise_multiplier": None,
        "noise_ratio": None,
        "status": "ok",
        "reason": "",
    }
    try:
        gaussian = scale_to_target("gaussian", accountant="verified", **run).std
        std = _std(shape, dimension, run, exact)
    except Unsupported as error:
        return {**row, "status": "unsupported", "reason": str(error)}
    if not math.isfinite(std):
        return {
            **row,
            "status": "infinite",
            "reason": "the variance is infinite",
            "gaussian_noise_multiplier": gaussian,
        }
    return {**row, "noise_multiplier": std, "gaussian_noise_multiplier": gaussian, "noise_ratio": std / gaussian}


def _std(shape: Noise, dimension: int | None, run: dict[str, Any], exact: bool) -> float:
    if exact:
        return scale_to_target(shape, accountant="verified", dimension=dimension, **run).std
    return shape.std * split_scale(shape, dimension=dimension, **run)
