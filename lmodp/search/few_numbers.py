"""Where optimised noise wins: the noise that a release of few numbers needs, and the best one for a release.

K numbers are released together, T times; an example moves them by at most 1 in the L2 norm. At equal verified epsilon
each noise is as small as the suite can prove; so the answer for a noise without exact accounting (a mixture of
Laplaces in 2 to 256 numbers) may be a few percent too large. ``python -m lmodp.search.few_numbers`` writes
the table that the report shows, in half an hour; tests compute rows of it again.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmodp.accounting import scale_to_target
from lmodp.accounting.calibration import split_scale
from lmodp.accounting.checks import Run
from lmodp.accounting.verified import pure_run, verified_run
from lmodp.errors import Unsupported
from lmodp.mechanisms import PUBLISHED, Laplace, Noise, Spherical
from lmodp.search.best_scalar import best_composed, best_single

NUMBERS: tuple[int | None, ...] = (1, 2, 4, 16, 64, 256, None)
RELEASES, DELTAS, EPSILON = (1, 4, 16, 100, 1000), (0.0, 1e-10, 1e-5), 1.0
COLUMNS = ("noise", "numbers", "releases", "delta", "epsilon", "noise_multiplier", "power", "status", "reason")
TABLE = Path(__file__).with_name("few_numbers.tsv")
POWERS = (2.0, 1.5, 1.25, 1.0, 0.75)  # of spherical noise, tried until the next needs more noise
_SHAPES = {name: point.noise for name, point in PUBLISHED.items() if name.startswith("lmo-")}
_LEAST, _SHRINK = 1e-13, 1 - 2.5e-4  # delta of a certificate of a pure epsilon; steps towards it


def gaussian(numbers: int | None, run: Run, epsilon: float) -> Noise:
    """Return the Gaussian; how many numbers there are does not matter."""
    if run["delta"] == 0:
        raise Unsupported("a Gaussian has no epsilon at delta = 0")
    return _gaussian(run["steps"], run["delta"], epsilon)


@lru_cache
def _gaussian(steps: int, delta: float, epsilon: float) -> Noise:
    return scale_to_target("gaussian", accountant="verified", epsilon=epsilon, delta=delta, steps=steps, full=True)


def laplace(numbers: int | None, run: Run, epsilon: float) -> Noise:
    """Return the Laplace noise of each number."""
    return _mixture(Laplace(scale=1.0), numbers, run, epsilon)


def lmo(numbers: int | None, run: Run, epsilon: float) -> Noise:
    """Return the best of LMO-DP's published shapes, chosen by an evenly spread shift (in many numbers: exactly)."""

    def spread(shape: Noise) -> float:
        if run["delta"] == 0:
            return _pure_scale(shape, numbers or 1, run["steps"], epsilon) * shape.std
        return split_scale(shape, epsilon=epsilon, dimension=numbers, **run) * shape.std

    shapes = [shape for shape in _SHAPES.values() if math.isfinite(shape.std)]
    return _mixture(min(shapes, key=spread), numbers, run, epsilon)


def _mixture(shape: Noise, numbers: int | None, run: Run, epsilon: float) -> Noise:
    scales = []
    if numbers is not None:
        scales.append(_pure_scale(shape, numbers, run["steps"], epsilon))
    if run["delta"] > 0 and not (scales and split_scale(shape, epsilon=epsilon, dimension=numbers, **run) > scales[0]):
        exact = numbers in (1, None)  # else it takes minutes, and gains little
        asked: Any = {"accountant": "verified", "epsilon": epsilon, "dimension": numbers, "full": exact, **run}
        scales.append(scale_to_target(shape, **asked).std / shape.std)
    if not scales:
        raise Unsupported("a mixture of Laplaces has no epsilon at delta = 0 in many numbers")
    return shape.scaled(min(scales))


def _pure_scale(shape: Noise, numbers: int, steps: int, epsilon: float) -> float:
    run: Any = {"sampling_rate": 1.0, "steps": steps, "dimension": numbers}
    return _bisected(lambda scale: pure_run(shape.scaled(scale), **run) <= epsilon)


def _bisected(private: Callable[[float], bool]) -> float:
    low, high = -30.0, 30.0
    while high - low > 1e-9:
        low, high = (low, (low + high) / 2) if private(math.exp((low + high) / 2)) else ((low + high) / 2, high)
    return math.exp(high)


def spherical(numbers: int | None, run: Run, epsilon: float) -> Noise:
    """Return the spherical noise of the best power; of one number, the best noise of all that programmes find."""
    if numbers is None:
        raise Unsupported("spherical noise in many numbers is the Gaussian")
    if numbers == 1:
        return _best_of_all(run, epsilon)
    if run["delta"] == 0:  # the l2 mechanism
        return Spherical(dimension=numbers, power=1.0, scale=run["steps"] / epsilon * (1 + 1e-9))
    found: list[Noise] = []
    for power in POWERS:
        shape = Spherical(dimension=numbers, power=power, scale=1.0)
        noise = scale_to_target(shape, accountant="verified", epsilon=epsilon, full=True, **run)
        if found and noise.std >= found[-1].std:
            break
        found.append(noise)
    return found[-1]


def _best_of_all(run: Run, epsilon: float) -> Noise:
    steps, delta = run["steps"], run["delta"]
    found = [laplace(1, run, epsilon), *_fitted(lambda e: best_single(epsilon=e / steps, delta=0.0), run, epsilon)]
    if delta > 0 and steps == 1:
        found += _fitted(lambda e: best_single(epsilon=e, delta=delta), run, epsilon)
    if delta > 0:
        found.append(gaussian(1, run, epsilon))
    if delta > 0 and steps > 1:
        found.append(best_composed(epsilon=epsilon, delta=delta, steps=steps))
    return min(found, key=lambda noise: noise.std)


def _fitted(programme: Callable[[float], Noise], run: Run, epsilon: float) -> Iterator[Noise]:
    """Yield the programme's noise at the largest epsilon, a little below the target, at which it is certified."""
    certified: Run = {**run, "delta": max(run["delta"], _LEAST)}
    for tries in range(8):
        noise = programme(epsilon * _SHRINK**tries)
        if verified_run(noise, dimension=1, **certified).upper <= epsilon:
            yield noise
            return


NOISES: dict[str, Callable[[int | None, Run, float], Noise]] = {
    "gaussian": gaussian,
    "laplace": laplace,
    "lmo": lmo,
    "spherical": spherical,
}


def row(name: str, *, numbers: int | None, releases: int, delta: float, epsilon: float = EPSILON) -> dict[str, Any]:
    """Return one row of the table, with `COLUMNS` as keys; numbers are None for many."""
    run: Run = {"sampling_rate": 1.0, "steps": releases, "delta": delta}
    found = {"noise": name, "numbers": numbers, "releases": releases, "delta": delta, "epsilon": epsilon}
    try:
        noise = NOISES[name](numbers, run, epsilon)
    except Unsupported as error:
        return {**found, "noise_multiplier": None, "power": None, "status": "unsupported", "reason": str(error)}
    power = getattr(noise, "power", None)
    return {**found, "noise_multiplier": noise.std, "power": power, "status": "ok", "reason": ""}


def table() -> list[dict[str, Any]]:
    """Return the rows of the table that is kept beside this file."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            {name: _read(name, value) for name, value in line.items()} for line in csv.DictReader(file, delimiter="\t")
        ]


def _read(name: str, value: str) -> Any:
    if name in ("noise", "status", "reason"):
        return value
    return None if value == "" else int(value) if name in ("numbers", "releases") else float(value)


def main() -> None:
    """Compute the table and write it."""
    asked = itertools.product(DELTAS, RELEASES, NUMBERS, NOISES)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        lines.writeheader()
        for delta, releases, numbers, name in asked:
            found = row(name, numbers=numbers, releases=releases, delta=delta)
            value = found["noise_multiplier"]
            lines.writerow({**found, "noise_multiplier": None if value is None else f"{value:.6g}"})
            file.flush()


if __name__ == "__main__":
    main()
