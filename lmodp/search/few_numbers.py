"""Where optimised noise wins: the noise that a release of few numbers needs, and the best one for a release.

K numbers are released together, T times; an example moves them by at most 1 in the L2 norm. At equal verified epsilon
each noise is as small as the table's proofs allow: exact for one number, for the Gaussian and for spherical noise. For
a mixture of Laplaces in 2 to 256 numbers it is the smaller of what pure epsilon asks and what is enough for any
number, which may be too large. ``python -m lmodp.search.few_numbers`` writes the table that the report shows, in three
minutes of one core; tests compute rows of it again.
"""

import csv
import itertools
import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lmodp.accounting import scale_to_target
from lmodp.accounting.checks import Run
from lmodp.accounting.verified import pure_run, verified_run
from lmodp.errors import Unsupported, require
from lmodp.mechanisms import PUBLISHED, Laplace, Noise, Spherical
from lmodp.search.best_scalar import best_composed, best_single

POWERS, _FEW = (1.0, 1.5), 16  # of spherical noise, beside 2, the Gaussian; tried for so many releases at most
NUMBERS: tuple[int | None, ...] = (1, 2, 4, 16, 64, 256, None)
RELEASES, DELTAS, EPSILON = (1, 4, 16, 100, 1000), (0.0, 1e-10, 1e-5), 1.0
COLUMNS = ("noise", "numbers", "releases", "delta", "epsilon", "noise_multiplier", "power", "status", "reason")
TABLE = Path(__file__).with_name("few_numbers.tsv")
_LAPLACE = Laplace(scale=1.0)
_SHAPES = [point.noise for name, point in PUBLISHED.items() if name.startswith("lmo-")]
_SHAPES = sorted((shape for shape in _SHAPES if math.isfinite(shape.std)), key=lambda shape: -shape.efficiency)[:2]
_LEAST = 1e-13  # delta of the lower end of a pure epsilon
_STAIRS, _STEEP = 0.1, 50.0  # epsilons between which programmes are solved
_REACH = 30.0  # logarithm of the largest scale that is tried, in sensitivities
_SHRINK, _SHRINKS = 1 - 2.5e-4, 8  # steps by which a programme aims below the target, and how many


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
    return _least(list(_mixtures(_LAPLACE, numbers, run, epsilon)))


def lmo(numbers: int | None, run: Run, epsilon: float) -> Noise:
    """Return the better of the two most efficient of LMO-DP's published shapes."""
    found = [noise for shape in _SHAPES for noise in _mixtures(shape, numbers, run, epsilon)]
    return _least(found)


def _least(found: Sequence[Noise]) -> Noise:
    if not found:
        raise Unsupported("a mixture of Laplaces has no epsilon at delta = 0 in many numbers")
    return min(found, key=lambda noise: noise.std)


def _mixtures(shape: Noise, numbers: int | None, run: Run, epsilon: float) -> Iterator[Noise]:
    """Yield noises that are within the target: by pure epsilon, and exactly for one number, else for any number."""
    steps, delta = run["steps"], run["delta"]
    if numbers is not None:
        yield shape.scaled(_pure_scale(shape, numbers, steps, epsilon))
    if delta > 0 and numbers == 1:
        yield scale_to_target(shape, accountant="verified", epsilon=epsilon, dimension=1, full=True, **run)
    elif delta > 0:
        yield _in_many_numbers(shape, steps, delta, epsilon)


@lru_cache
def _in_many_numbers(shape: Noise, steps: int, delta: float, epsilon: float) -> Noise:
    return scale_to_target(shape, accountant="verified", epsilon=epsilon, delta=delta, steps=steps, full=True)


def _pure_scale(shape: Noise, numbers: int, steps: int, epsilon: float) -> float:
    run: Any = {"sampling_rate": 1.0, "steps": steps, "dimension": numbers}
    return _bisected(lambda scale: pure_run(shape.scaled(scale), **run) <= epsilon)


def _bisected(private: Callable[[float], bool]) -> float:
    low, high = -_REACH, _REACH
    if not private(math.exp(high)):
        raise Unsupported(f"no noise of up to {math.exp(high):.2g} sensitivities is within the target")
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
    found = [gaussian(numbers, run, epsilon)]
    for power in POWERS if run["steps"] <= _FEW else ():
        shape = Spherical(dimension=numbers, power=power, scale=1.0)
        found.append(scale_to_target(shape, accountant="verified", epsilon=epsilon, full=True, **run))
    return min(found, key=lambda noise: noise.std)


def _best_of_all(run: Run, epsilon: float) -> Noise:
    steps, delta = run["steps"], run["delta"]
    found = [laplace(1, run, epsilon)]
    if _STAIRS <= epsilon / steps <= _STEEP:  # a staircase gains less than a thousandth below
        found += _fitted(lambda e: best_single(epsilon=e / steps, delta=0.0), run, epsilon)
    if delta > 0 and steps == 1 and epsilon <= _STEEP:
        with suppress(Unsupported):  # of a small epsilon
            found += _fitted(lambda e: best_single(epsilon=e, delta=delta), run, epsilon)
    if delta > 0:
        found.append(gaussian(1, run, epsilon))
    if delta > 0 and steps > 1:
        found.append(best_composed(epsilon=epsilon, delta=delta, steps=steps))
    return min(found, key=lambda noise: noise.std)


def _fitted(programme: Callable[[float], Noise], run: Run, epsilon: float) -> Iterator[Noise]:
    """Yield the programme's noise at the largest epsilon, a little below the target, at which it is certified."""
    for tries in range(_SHRINKS):
        noise = programme(epsilon * _SHRINK**tries)
        if upper_end(noise, 1, run) <= epsilon:
            yield noise
            return


def upper_end(noise: Noise, numbers: int, run: Run) -> float:
    """Return the proven upper end of epsilon; delta may be 0."""
    if run["delta"] == 0:
        return pure_run(noise, sampling_rate=1.0, steps=run["steps"], dimension=numbers)
    return verified_run(noise, dimension=numbers, **run).upper


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


@lru_cache
def _candidates(numbers: int, epsilon: float, delta: float, releases: int) -> dict[str, Noise]:
    run: Run = {"sampling_rate": 1.0, "steps": releases, "delta": delta}
    found = {}
    for name, choose in NOISES.items():
        with suppress(Unsupported):
            found[name] = choose(numbers, run, epsilon)
    return found


def release(
    values: Sequence[float], *, sensitivity: float, epsilon: float, delta: float = 0.0, releases: int = 1
) -> dict[str, Any]:
    """Release numbers once, with the noise of least standard deviation among `NOISES`.

    The generator is NumPy's PCG64, seeded with 256 bits of the operating system; it is no cryptographic one. The
    released numbers are rounded to a thousandth of the noise or less, so that their last bits do not show how they were
    computed; the certificate is about real numbers all the same (docs/dangers.md).

    Args:
        values: K numbers.
        sensitivity: L2 norm by which adding or removing one example can move them.
        epsilon, delta: of all releases together; at ``delta`` 0 the certificate is pure.
        releases: T, how many such releases there are in all.

    Raises:
        Unsupported: no noise of the suite has a proof for this target; nothing is drawn then.
        InvalidValue: a value is so large that its last digits cannot hold the noise.
    """
    run: Run = {"sampling_rate": 1.0, "steps": releases, "delta": delta}
    found = _candidates(len(values), epsilon, delta, releases)
    others: dict[str, float | None] = {name: None for name in NOISES if name not in found}
    at: Run = {"sampling_rate": 1.0, "steps": releases, "delta": delta or _LEAST}
    for best in sorted(found, key=lambda name: found[name].std):
        law = found[best]
        certified = verified_run(law, dimension=len(values), full=True, **at)
        upper = upper_end(law, len(values), run) if delta == 0 else certified.upper
        if upper <= epsilon:
            break
    else:
        raise Unsupported(f"epsilon = {epsilon:g}, delta = {delta:g}: no noise has a proof for this target")
    noise = law.scaled(sensitivity)
    others |= {name: sensitivity * other.std for name, other in found.items() if name != best}
    step = 2.0 ** math.floor(math.log2(noise.std / 1000))
    for value in values:
        rule, remedy = "is too large: a double beside it cannot hold the noise", "Subtract a public number first."
        require(np.spacing(abs(value) + 100 * noise.std) <= step, "value", value, rule, remedy)
    generator = np.random.Generator(np.random.PCG64(secrets.randbits(256)))
    if isinstance(noise, Spherical):
        drawn = noise.vectors(1, generator)[0]
    else:
        drawn = generator.choice([-1.0, 1.0], len(values)) * noise.inverse_log_survival(
            generator.standard_exponential(len(values))
        )
    return {
        "released": (np.round((np.asarray(values) + drawn) / step) * step).tolist(),
        "noise": noise.to_dict(),
        "noise_std": noise.std,
        "others": others,
        "certificate": {
            "lower": certified.lower,
            "upper": upper,
            "delta": delta,
            "route": "pure" if delta == 0 else certified.route,
        },
    }


def table() -> list[dict[str, Any]]:
    """Return the rows of the table that is kept beside this file."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file, delimiter="\t")
        return [{name: _read(name, value) for name, value in line.items()} for line in lines]


def _read(name: str, value: str) -> Any:
    if name in ("noise", "status", "reason"):
        return value
    return None if value == "" else int(value) if name in ("numbers", "releases") else float(value)


def main() -> None:
    """Compute the table and write it."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        lines.writeheader()
        for delta, releases, numbers, name in itertools.product(DELTAS, RELEASES, NUMBERS, NOISES):
            found = row(name, numbers=numbers, releases=releases, delta=delta)
            value = found["noise_multiplier"]
            lines.writerow({**found, "noise_multiplier": None if value is None else f"{value:.6g}"})


if __name__ == "__main__":
    main()
