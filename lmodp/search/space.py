"""Search spaces: lists of values for the rate's parts, walked in a fixed order.

The order of the walk, fastest first: gamma weight, exponential weight, uniform weight,
gamma (scale, shape), exponential rate, uniform (high, low). It is the order of the
public experiment code, so that the same point wins a tie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lmodp.errors import DamagedFile, Fault, InvalidValue, MissingFile, nearest, parse_json, require
from lmodp.mechanisms import ExponentialPart, GammaPart, LaplaceMixture, UniformPart
from lmodp.mechanisms.arrays import Floats, Integers
from lmodp.mechanisms.parts import RatePart

_WEIGHTS = tuple(i / 10 for i in range(1, 10))
PUBLISHED_SPACE: dict[str, Any] = {
    "gamma": {"weight": _WEIGHTS, "scale_shape": ((1, 2), (2, 2), (3, 2), (5, 1), (9, 0.5), (7.5, 1), (0.5, 1))},
    "exponential": {"weight": _WEIGHTS, "rate": (0.1, 0.5, 1, 5)},
    "uniform": {"weight": _WEIGHTS, "high_low": ((1, 0), (2, 1))},
}
_LAWS = {
    "gamma": ("scale_shape", lambda weight, law: GammaPart(weight=weight, scale=law[0], shape=law[1]), 2),
    "exponential": ("rate", lambda weight, law: ExponentialPart(weight=weight, rate=law), 1),
    "uniform": ("high_low", lambda weight, law: UniformPart(weight=weight, high=law[0], low=law[1]), 2),
}


@dataclass(frozen=True)
class SearchSpace:
    """The grid of noises of a search.

    Args:
        name: "published" or the file's name.
        axes: for each part that takes part, its weights and its laws' parameters.
    """

    name: str
    axes: Mapping[str, Mapping[str, tuple]]

    @cached_property
    def parts(self) -> dict[str, list[RatePart]]:
        """Every part of the grid by key; weights vary fastest."""
        return {
            key: [_LAWS[key][1](weight, law) for law in axis[_LAWS[key][0]] for weight in axis["weight"]]
            for key, axis in self.axes.items()
        }

    @cached_property
    def index(self) -> dict[str, Integers]:
        """For each key and every point in the order of the walk: the index of the point's part in ``parts[key]``."""
        keys = list(self.axes)
        weights = [len(self.axes[key]["weight"]) for key in keys]
        laws = [len(self.parts[key]) // count for key, count in zip(keys, weights, strict=True)]
        # Slowest first: laws from the last part to the first, then weights likewise.
        grid = np.indices([*reversed(laws), *reversed(weights)]).reshape(2 * len(keys), -1)[::-1]
        return {key: grid[len(keys) + i] * weights[i] + grid[i] for i, key in enumerate(keys)}

    @property
    def points(self) -> int:
        """Number of points."""
        return len(next(iter(self.index.values())))

    def noise(self, point: int) -> LaplaceMixture:
        """Return the noise of a point, numbered in the order of the walk."""
        return LaplaceMixture(**{key: parts[self.index[key][point]] for key, parts in self.parts.items()})

    def gather(
        self, of: Callable[[RatePart], Any], combine: np.ufunc, *, points: Integers | slice = slice(None)
    ) -> Floats:
        """Combine a quantity of the parts, an array or number each, at ``points``, shape (points, ...)."""
        gathered = (
            np.array([of(part) for part in parts])[self.index[key][points]] for key, parts in self.parts.items()
        )
        total: Floats = next(gathered)
        for values in gathered:
            combine(total, values, out=total)
        return total

    def contract(self, of: Callable[[RatePart], Floats], weight: Floats) -> Floats:
        """Return sum_x weight(x) prod_i of(part_i)(x) at every point, as one matrix product."""
        tables = [np.array([of(part) for part in parts]) for parts in self.parts.values()]
        keys, last = list(self.parts), tables[-1]
        left, index = weight[None, :], np.zeros(self.points, dtype=np.int64)
        for key, table in zip(keys[:-1], tables[:-1], strict=True):
            left = (left[:, None, :] * table[None, :, :]).reshape(-1, table.shape[1])
            index = index * len(table) + self.index[key]
        return (left @ last.T)[index, self.index[keys[-1]]]

    def columns(self) -> dict[str, Floats]:
        """Return every parameter of every point, one column each, in the order of the walk."""
        return {
            f"{key}_{field}": np.array([getattr(part, field) for part in parts])[self.index[key]]
            for key, parts in self.parts.items()
            for field in parts[0].to_dict()
        }


def load_space(source: str | Path | Mapping[str, Any]) -> SearchSpace:
    """Return a search space by name, from a JSON file or from its values.

    Args:
        source: "published", a path, or a table such as ``{"gamma": {"weight": [0.1], "scale_shape": [[1, 2]]},
            "exponential": {"weight": [0.1], "rate": [5]}, "uniform": {"weight": [0.1], "high_low": [[2, 1]]}}``,
            each part optional.

    Raises:
        InvalidValue: an unknown or missing key, an empty list or a parameter outside its range.
    """
    if isinstance(source, Mapping):
        return _space("given", source)
    if str(source) == "published":
        return SearchSpace("published", PUBLISHED_SPACE)
    path = Path(source)
    if not path.is_file():
        raise MissingFile(str(Fault("space", str(source), "is neither 'published' nor a file")))
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(str(Fault("space", str(path), f"is not JSON: {error}"))) from error
    return _space(path.name, values)


def _space(name: str, values: Any) -> SearchSpace:
    require(isinstance(values, Mapping) and bool(values), "space", values, "must be a table with at least one part")
    for key in values:
        require(key in _LAWS, f"space.{key}", values[key], "is not a part", nearest(str(key), _LAWS))
    axes = {key: _axis(key, values[key]) for key in _LAWS if key in values}
    space = SearchSpace(name, axes)
    for key, parts in space.parts.items():  # every part validates itself
        require(
            all(part.active for part in parts),
            f"space.{key}.weight",
            axes[key]["weight"],
            "must hold values above 0",
            "Leave the part out to search without it.",
        )
    return space


def _axis(key: str, axis: Any) -> dict[str, tuple]:
    law, _, numbers = _LAWS[key]
    require(isinstance(axis, Mapping), f"space.{key}", axis, "must be a table of lists")
    for name in axis:
        require(
            name in ("weight", law),
            f"space.{key}.{name}",
            axis[name],
            "is not a known key",
            nearest(str(name), ("weight", law)),
        )
    for name in ("weight", law):
        require(name in axis, f"space.{key}", dict(axis), f"lacks {name}", f"Add {name!r}.")
        listed = isinstance(axis[name], (list, tuple)) and len(axis[name]) > 0
        require(listed, f"space.{key}.{name}", axis[name], "must be a list of at least one value")
    if numbers == 2:
        for pair in axis[law]:
            if not (isinstance(pair, (list, tuple)) and len(pair) == 2):
                raise InvalidValue(str(Fault(f"space.{key}.{law}", pair, "must be a pair of numbers")))
    return {"weight": tuple(axis["weight"]), law: tuple(tuple(v) if numbers == 2 else v for v in axis[law])}
