"""The offline noise search, vectorised over the whole space, under any accountant.

Only points whose epsilon is below the target qualify. Among these, the objective
``epsilon`` takes the largest epsilon, as published; ``usefulness`` takes the largest
P(|X| <= gamma), and ``std`` the smallest standard deviation. If points are equally
good, the first one in the walk wins (`lmodp.search.space`).

References:
    LMO-DP, arXiv 2405.18776, public experiment code (order of the walk, rejection rules).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from lmodp.accounting.calibration import verified_upper
from lmodp.accounting.checks import Run
from lmodp.accounting.claimed.lmo_dp import claimed_rdp, raw_mgf
from lmodp.accounting.paper_bound import ORDERS, best_step
from lmodp.errors import Unsupported, require, require_known
from lmodp.mechanisms import Gaussian, LaplaceMixture
from lmodp.mechanisms.parts import RatePart
from lmodp.search.space import SearchSpace, load_space
from lmodp.vocabulary import ACCOUNTANTS, OBJECTIVES

_ORDERS = ORDERS.astype(np.float64)
_KNOTS = 48  # of the interpolation of epsilon in log sigma
_CHUNK = 2048  # points at once, so that temporaries stay small


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Args:
        noise: the winner.
        epsilon: its epsilon under the accountant of the search.
        value: its objective.
        point: its number in the walk.
        qualifying: points whose epsilon is below the target.
        valid: points for which the accountant has an epsilon.
        points: size of the space.
        trace: columns over all points in the order of the walk.
    """

    noise: LaplaceMixture
    epsilon: float
    value: float
    point: int
    qualifying: int
    valid: int
    points: int
    trace: dict[str, np.ndarray]


def find_noise(
    space: SearchSpace | str,
    *,
    accountant: str,
    objective: str,
    epsilon: float,
    delta: float,
    gamma: float = 0.9,
    sampling_rate: float | None = None,
    steps: int | None = None,
) -> SearchResult:
    """Return the best noise of a space.

    Args:
        space: a `SearchSpace`, "published" or the path of a space file.
        accountant: "claimed" and "paper_bound" answer for one step; "verified" for the run.
        objective: "epsilon", "usefulness" or "std".
        epsilon, delta: target; a point qualifies if its epsilon is strictly below.
        gamma: half-width for the usefulness.
        sampling_rate, steps: of the run, for "verified"; one full release by default.

    Raises:
        Unsupported: no point qualifies.
    """
    space = space if isinstance(space, SearchSpace) else load_space(space)
    _check(accountant, objective, epsilon, delta, gamma)
    run: Run = {"sampling_rate": sampling_rate or 1.0, "steps": steps or 1, "delta": delta}
    epsilons = _epsilons(space, accountant, run)
    useful, std = usefulness(space, gamma), deviations(space)
    below = epsilons < epsilon
    score = {"epsilon": epsilons, "usefulness": useful, "std": -std}[objective]
    ranked = np.flatnonzero(below)[np.argsort(-score[below], kind="stable")]
    point = _first_that_holds(space, ranked, epsilons, epsilon, run if accountant == "verified" else None)
    if point is None:
        raise Unsupported(_none_qualifies(space, accountant, epsilon, epsilons))
    return SearchResult(
        noise=space.noise(point),
        epsilon=float(epsilons[point]),
        value=float(abs(score[point])),
        point=point,
        qualifying=int(below.sum()),
        valid=int(np.isfinite(epsilons).sum()),
        points=space.points,
        trace={**space.columns(), "epsilon": epsilons, "usefulness": useful, "std": std, "qualifies": below},
    )


def _first_that_holds(
    space: SearchSpace, ranked: np.ndarray, epsilons: np.ndarray, target: float, run: Run | None
) -> int | None:
    """Return the best point; under ``verified`` its own bound must also be below the target."""
    for point in ranked:
        if run is None:
            return int(point)
        epsilons[point] = verified_upper(space.noise(int(point)), **run)
        if epsilons[point] < target:
            return int(point)
    return None


def _none_qualifies(space: SearchSpace, accountant: str, target: float, epsilons: np.ndarray) -> str:
    smallest = float(np.min(epsilons))
    finite = f"the smallest is {smallest:.6g}" if math.isfinite(smallest) else "no point has a finite epsilon"
    return f"no point of the space {space.name!r} has epsilon below {target!r} under {accountant!r}: {finite}"


def _check(accountant: str, objective: str, epsilon: float, delta: float, gamma: float) -> None:
    require_known("accountant", accountant, ACCOUNTANTS)
    require_known("objective", objective, OBJECTIVES)
    require(0 < epsilon < math.inf, "epsilon", epsilon, "must be finite and above 0")
    require(0 < delta < 1, "delta", delta, "must be in (0, 1)")
    require(0 < gamma < math.inf, "gamma", gamma, "must be finite and above 0")


def _epsilons(space: SearchSpace, accountant: str, run: Run) -> np.ndarray:
    if accountant == "claimed":
        return claimed_epsilons(space, delta=run["delta"])
    if accountant == "paper_bound":
        return paper_bound_epsilons(space, delta=run["delta"])
    return verified_epsilons(space, **run)


def claimed_epsilons(space: SearchSpace, *, delta: float) -> np.ndarray:
    """Return the published code's per-step epsilon of every point, ``inf`` where it rejects one."""
    accepted = np.flatnonzero(_domains(space) > 1)
    with np.errstate(all="ignore"):
        up = space.gather(lambda part: raw_mgf(part, _ORDERS - 1), np.multiply, points=accepted)
        down = space.gather(lambda part: raw_mgf(part, -_ORDERS), np.multiply, points=accepted)
    found = np.full(space.points, np.inf)
    found[accepted] = best_step(claimed_rdp(up, down), delta=delta)[0]
    return found


def _domains(space: SearchSpace) -> np.ndarray:
    return space.gather(lambda part: part.domain, np.minimum)


def paper_bound_epsilons(space: SearchSpace, *, delta: float) -> np.ndarray:
    """Return the published bound's per-step epsilon of every point, ``inf`` where no order is valid."""
    accepted = np.flatnonzero(_domains(space) > 1)
    up = space.gather(lambda part: _log_mgf(part, _ORDERS - 1), np.add, points=accepted)
    down = space.gather(lambda part: _log_mgf(part, -_ORDERS), np.add, points=accepted)
    moment = np.logaddexp(np.log(ORDERS) + up, np.log(ORDERS - 1) + down) - np.log(2 * ORDERS - 1)
    found = np.full(space.points, np.inf)
    found[accepted] = best_step(moment / (ORDERS - 1), delta=delta)[0]
    return found


def _log_mgf(part: RatePart, t: np.ndarray) -> np.ndarray:
    """Return K at ``t``, ``inf`` outside the domain."""
    inside = t < part.domain
    return np.where(inside, part.log_mgf(np.where(inside, t, 0.0))[0], np.inf)


def usefulness(space: SearchSpace, gamma: float) -> np.ndarray:
    """Return P(|X| <= gamma) of every point."""
    return -np.expm1(space.gather(lambda part: part.log_mgf(np.array(-gamma))[0], np.add))


def deviations(space: SearchSpace) -> np.ndarray:
    """Return the standard deviation of every point, ``inf`` where there is none.

    2 int x^2 M(-x) d log x by the trapezoidal rule, a matrix product over the parts; the weight x^2 is
    shared among them so that no factor leaves the range of doubles, and a power tail is added.
    """
    log_x, share = np.arange(-46.0, 300.0, 0.25), 2 / len(space.parts)
    exponent = space.gather(lambda part: part.exponent, np.add)

    def weighted(log_x: np.ndarray) -> Callable[[RatePart], np.ndarray]:
        return lambda part: np.exp(part.log_mgf(-np.exp(log_x))[0] + share * log_x)

    body = space.contract(weighted(log_x), np.full(len(log_x), 0.25))
    tail = space.contract(weighted(log_x[-1:]), np.ones(1))
    with np.errstate(divide="ignore"):
        variance = 2 * (body + np.where(np.isfinite(exponent), tail / (exponent - 2), 0.0))
    return np.sqrt(np.where(exponent > 2, variance, np.inf))


def verified_epsilons(space: SearchSpace, *, delta: float, sampling_rate: float, steps: int) -> np.ndarray:
    """Return the limit epsilon of every point in many dimensions: its Gaussian of sigma_effective under
    the bound by which all families are compared. A point's own bound is never below it."""
    sigma = 1 / np.sqrt(fisher_informations(space))
    knots = np.geomspace(sigma.min() * 0.999, sigma.max() * 1.001, _KNOTS)
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    values = [verified_upper(Gaussian(std=std), **run) for std in knots]
    return np.exp(PchipInterpolator(np.log(knots), np.log(values))(np.log(sigma)))


def fisher_informations(space: SearchSpace) -> np.ndarray:
    """Return the Fisher information of every point."""
    log_x = np.arange(-46.0, 60.0, 0.25)
    blocks = [slice(start, start + _CHUNK) for start in range(0, space.points, _CHUNK)]
    return np.concatenate([_information(space, log_x, points) for points in blocks])


def _information(space: SearchSpace, log_x: np.ndarray, points: slice) -> np.ndarray:
    def derivative(i: int) -> Callable[[RatePart], np.ndarray]:
        return lambda part: part.log_mgf(-np.exp(log_x))[i]

    value, first, second = (space.gather(derivative(i), np.add, points=points) for i in range(3))
    score = first + second / first
    return (np.exp(value + log_x) * first * score**2).sum(axis=-1) * (log_x[1] - log_x[0])


def landscape(space: SearchSpace, *, delta: float) -> dict[str, np.ndarray]:
    """Return every accountant's epsilon of one step for every point.

    Keys: ``step_claimed``, ``step_paper_bound``, ``step_verified``; ``inf`` where an accountant has no epsilon. The
    verified one is of one full release of a gradient of many coordinates, the limit of `verified_epsilons`.
    """
    return {
        "step_claimed": claimed_epsilons(space, delta=delta),
        "step_paper_bound": paper_bound_epsilons(space, delta=delta),
        "step_verified": verified_epsilons(space, delta=delta, sampling_rate=1.0, steps=1),
    }


def write_trace(columns: Mapping[str, np.ndarray], path: Path) -> None:
    """Write columns as a parquet table for plots: one row per point in the order of the walk, numbers in four bytes."""
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    values = {
        name: column.astype(np.float32) if column.dtype == np.float64 else column for name, column in columns.items()
    }
    measured = [
        name
        for name in ("epsilon", "usefulness", "std", "step_claimed", "step_paper_bound", "step_verified")
        if name in values
    ]
    others = [name for name in values if name not in measured]
    parquet.write_table(
        pyarrow.table(values), path, compression="zstd", use_dictionary=others, use_byte_stream_split=measured
    )
