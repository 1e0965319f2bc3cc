"""Forty settings against what shares no code with the accountants but the noise's survival and density.

Three oracles: laws of the loss on a fine lattice, rounded both ways and convolved directly; moments of the sampled
release as sums and integrals of 30 digits; the hockey stick of samples that are drawn as the law is defined.
"""

import math
from functools import cache, reduce

import mpmath as mp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import rel_entr

from lmodp.accounting import conversion, verified, verified_run
from lmodp.accounting.rdp.supremum import RenyiCurve
from lmodp.accounting.verified import rdp_curve, rdp_upper
from lmodp.mechanisms import (
    ExponentialPart,
    GammaPart,
    Gaussian,
    Laplace,
    LaplaceMixture,
    TruncatedNormalPart,
    UniformPart,
    load_noise,
)
from tests.oracles import test_accounting_renyi as renyi

LMO = load_noise("lmo-0.3")
TRUNCATED = LaplaceMixture(truncated_normal=TruncatedNormalPart(weight=1, mean=1, std=0.5, low=0.1, high=3))
HEAVY = LaplaceMixture(gamma=GammaPart(weight=1, shape=1.3, scale=0.5))
PRODUCT = LaplaceMixture(
    exponential=ExponentialPart(weight=0.3, rate=1.5), uniform=UniformPart(weight=0.4, low=0, high=2)
)
CELLS, LEVELS = 3000, 2000
REACH = 9.0  # deviations of a Gaussian, beyond which lies 1e-19, far below any delta here


def masses(noise, edges):
    """P of each cell between the ascending ``edges``, of which 0 is one, without cancellation in the tails."""
    with np.errstate(divide="ignore", over="ignore"):
        survival = np.exp(noise.log_survival(np.where(np.isinf(edges), 1e300, np.abs(edges))))
    return np.where(edges[1:] <= 0, survival[1:] - survival[:-1], survival[:-1] - survival[1:]) / 2


@cache
def coordinate(noise, shift):
    """P's masses on cells of one coordinate, and the least and the largest loss log p(x - shift)/p(x) in each.

    The loss is monotone between 0 and the shift and beyond both. Beyond its last cell a Gaussian's mass
    is left out; a mixture's losses go towards 0 or are constant there.
    """
    gaussian = isinstance(noise, Gaussian)
    if gaussian:
        y = np.linspace(0, REACH * noise.std, CELLS)
    else:
        y = np.concatenate([[0], np.geomspace(1e-6, 300, CELLS)]) / noise.score_maximum
    edges = np.unique(np.concatenate([-y, y + shift, np.linspace(0, shift, CELLS // 4)]))
    loss = noise.log_density(edges - shift) - noise.log_density(edges)
    if not gaussian:
        edges = np.concatenate([[-np.inf], edges, [np.inf]])
        loss = np.concatenate([[0], loss, [0]])
    return masses(noise, edges), np.minimum(loss[1:], loss[:-1]), np.maximum(loss[1:], loss[:-1])


def on_lattice(mass, loss, step, up):
    """Return (law, first): the masses at losses rounded up or down to whole steps."""
    place = (np.ceil(loss / step - 1e-9) if up else np.floor(loss / step + 1e-9)).astype(int)
    return np.bincount(place - place.min(), mass), int(place.min())


def added(one, other):
    return np.convolve(one[0], other[0]), one[1] + other[1]


def run_law(noise, split, rate, steps, up):
    """Law under P^T of the sampled loss of a run, log prod_t (1 - q + q r_t): (masses, losses), rounded up or down."""
    laws = [coordinate(noise, v) for v in split]
    step = sum(high.max() - low.min() for _, low, high in laws) / LEVELS
    law, first = reduce(added, [on_lattice(mass, high if up else low, step, up) for mass, low, high in laws])
    loss = np.log1p(rate * np.expm1((first + np.arange(len(law))) * step))
    step = (loss[-1] - loss[0]) / LEVELS
    law, first = reduce(added, [on_lattice(law, loss, step, up)] * steps)
    return law, (first + np.arange(len(law))) * step


def epsilon_of(law, loss, delta, removal):
    """The epsilon at which the run's delta, for which both laws are exact, is ``delta``; by bisection."""

    def found(epsilon):
        gain = np.exp(loss) - math.exp(epsilon) if removal else 1 - np.exp(epsilon + loss)
        return law @ np.maximum(gain, 0)

    low, high = 0.0, float(np.abs(loss).max()) if found(0.0) > delta else 0.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) > delta else (low, middle)
    return high


def bracket(noise, split, *, sampling_rate, steps, delta):
    """Bounds of epsilon for a shift of these coordinates, the worse of both directions."""
    down, up = (run_law(noise, split, sampling_rate, steps, way) for way in (False, True))
    lower = max(epsilon_of(*down, delta, True), epsilon_of(*up, delta, False))
    less = delta * (1 - 1e-6)  # what was left out, and rounding
    return lower, max(epsilon_of(*up, less, True), epsilon_of(*down, less, False))


def splits(dimension):
    """Shifts of length 1: spread evenly, in one coordinate, and uneven."""
    shares = [np.full(dimension, 1 / dimension)]
    if dimension > 1:
        shares += [np.array([1.0]), np.array([0.7, 0.3, 0.1][:dimension]) / sum([0.7, 0.3, 0.1][:dimension])]
    return [tuple(np.sqrt(share).tolist()) for share in shares]


CONVOLVED = [
    # noise, dimension, sampling rate, steps, delta
    (Laplace(scale=2.0), 1, 0.3, 1, 1e-4),
    (Laplace(scale=0.7), 1, 1.0, 5, 1e-8),
    (Laplace(scale=3.0), 1, 0.01, 8, 1e-6),
    (Laplace(scale=0.2), 1, 1e-3, 2, 1e-7),
    (Laplace(scale=1.0), 1, 0.2, 4, 1e-6),
    (Laplace(scale=5.0), 3, 1.0, 8, 1e-9),
    (LMO, 1, 0.03, 8, 1e-10),
    (LMO, 1, 1.0, 2, 1e-5),
    (LMO.scaled(0.2), 1, 0.3, 3, 1e-9),
    (LMO, 3, 0.1, 8, 1e-6),
    (HEAVY, 1, 0.1, 4, 1e-6),
    (HEAVY, 1, 0.9, 7, 1e-4),
    (HEAVY.scaled(4), 1, 0.2, 7, 1e-6),
    (PRODUCT, 1, 0.7, 8, 1e-12),
    (PRODUCT, 1, 0.02, 1, 1e-5),
    (PRODUCT.scaled(3), 2, 0.3, 8, 1e-7),
    (TRUNCATED, 1, 0.2, 6, 1e-8),
    (TRUNCATED, 1, 1.0, 1, 1e-3),
    (Gaussian(std=2.0), 1, 0.1, 8, 1e-6),
    (Gaussian(std=0.8), 1, 1.0, 3, 1e-5),
    (Gaussian(std=1.5), 2, 0.3, 4, 1e-8),
    (Gaussian(std=4.0), 3, 0.02, 2, 1e-7),
]


def interval(noise, dimension, rate, steps, delta):
    run = {"sampling_rate": rate, "steps": steps, "delta": delta}
    return run, verified_run(noise, dimension=dimension, **run)


@pytest.mark.parametrize("setting", CONVOLVED, ids=str)
def test_a_direct_convolution_brackets_the_interval(setting):
    noise, dimension = setting[:2]
    run, found = interval(*setting)
    brackets = [bracket(noise, split, **run) for split in splits(dimension)]
    for lower, upper in brackets:
        assert 0 < lower <= upper <= 1.05 * lower
        assert lower <= found.upper
    assert 0.99 * brackets[0][0] <= found.lower <= max(upper for _, upper in brackets)
    if dimension == 1 and not isinstance(noise, Gaussian):  # so 2 % less noise than accounted is found
        less = bracket(noise.scaled(0.98), (1.0,), **run)
        assert less[0] > found.upper


# Moments. The order is the one that the route by Renyi divergences chose; the shift is spread over so many coordinates.
MOMENTS = [
    # noise, dimension, sampling rate, steps, delta, coordinates
    (Laplace(scale=2.0), None, 0.05, 100, 1e-8, 10**6),
    (Laplace(scale=0.7), 16, 0.01, 500, 1e-6, 16),
    (Laplace(scale=20.0), 1, 0.5, 60, 1e-10, 1),
    (Laplace(scale=0.5), 1, 0.02, 200, 1e-6, 1),
    (Laplace(scale=0.15), 1, 0.02, 5, 1e-7, 1),
    (Gaussian(std=5.0), None, 0.05, 100, 1e-8, 1),
    (Gaussian(std=1.0), None, 1e-3, 3000, 1e-5, 1),
    (Gaussian(std=0.4), 1, 1e-3, 10, 1e-6, 1),
    (Laplace(scale=1.5), 1, 1e-3, 4000, 1e-10, 1),
    (renyi.NOISES["power tail"], 1, 0.2, 30, 1e-6, 1),
]


def moment(noise, order, coordinates):
    """E_P[r^order] of a shift of length 1 spread evenly, in closed form (Mironov 2017)."""
    a = mp.mpf(order)
    if isinstance(noise, Gaussian):
        return mp.exp(a * (a - 1) / (2 * mp.mpf(noise.std) ** 2))
    top = 1 / (noise.scale * mp.sqrt(coordinates))
    return ((a * mp.exp((a - 1) * top) + (a - 1) * mp.exp(-a * top)) / (2 * a - 1)) ** coordinates


def log_sum(noise, order, rate, coordinates):
    """log E_P[(1 - q + q r)^order] at a whole order."""
    q = mp.mpf(rate)
    powers = (q**k * (1 - q) ** (order - k) * mp.binomial(order, k) for k in range(order + 1))
    return mp.log(mp.fsum(power * moment(noise, k, coordinates) for k, power in enumerate(powers)))


def log_integral(noise, order, rate):
    """log E_P[(1 - q + q r)^order] of one number, at any order."""
    q, a = mp.mpf(rate), mp.mpf(order)
    if isinstance(noise, Gaussian):
        scale, outside = mp.mpf(noise.std), 0
        density, loss = lambda x: mp.npdf(x, 0, scale), lambda x: (x - mp.mpf(1) / 2) / scale**2
        edges = sorted([scale * k for k in (-14, -5, 0, 5, 14)] + [1 + scale * k for k in (0, 8, 16, 30)])
    else:
        scale, edges = mp.mpf(noise.scale), [mp.mpf(k) / 4 for k in range(5)]
        density, loss = lambda x: mp.exp(-x / scale) / (2 * scale), lambda x: (2 * x - 1) / scale
        left, right = ((1 - q + q * mp.exp(sign / scale)) ** a for sign in (-1, 1))
        outside = left / 2 + right * mp.exp(-1 / scale) / 2
    return mp.log(outside + mp.quad(lambda x: density(x) * (1 - q + q * mp.exp(loss(x))) ** a, edges))


def log_moments(noise, order, rate, coordinates):
    """Bounds of log E_P[(1 - q + q r)^order]. It is convex in the order: between two whole ones it lies below their
    chord, and above the chords of neighbours drawn out."""
    for name, known in renyi.NOISES.items():
        if noise is known:
            return (mp.mpf(renyi.exact_moment(name, order, 1.0, rate)),) * 2
    if coordinates == 1:
        return (log_integral(noise, order, rate),) * 2
    n, share = int(order), mp.mpf(order) - int(order)
    left, low, high, right = (log_sum(noise, k, rate, coordinates) for k in (n - 1, n, n + 1, n + 2))
    below = max(low + share * (low - left), high - (1 - share) * (right - high))
    return below, low + share * (high - low)


def check_moments(noise, dimension, rate, steps, delta, coordinates):
    run = {"sampling_rate": rate, "steps": steps, "delta": delta}
    upper, order, _ = rdp_upper(rdp_curve(noise, dimension=dimension, **run), **run)
    with mp.workdps(30):
        a = mp.mpf(order)
        paid = mp.log(1 - 1 / a) - (mp.log(delta) + mp.log(a)) / (a - 1)
        low, high = (float(steps * each / (a - 1) + paid) for each in log_moments(noise, order, rate, coordinates))
    assert low * (1 - 1e-12) <= upper
    assert order < 2 or upper <= 1.01 * high
    found = verified_run(noise, dimension=dimension, **run)
    assert found.lower <= high and found.upper <= upper


@pytest.mark.parametrize("setting", MOMENTS, ids=str)
def test_moments_of_thirty_digits_are_what_the_upper_end_rests_on(setting):
    check_moments(*setting)


def without_some_orders(self, orders):
    """The curve with whole orders left out that were not computed."""
    known = np.isin(orders, self.orders) | (orders % 1 > 0)
    return np.where(known, AT(self, orders), 0.0)


AT, EXPANSION = RenyiCurve.at, conversion._log_expansion
FAULTS = {
    "whole orders left out": (RenyiCurve, "at", without_some_orders),
    "moments less 1e-4": (RenyiCurve, "at", lambda self, orders: AT(self, orders) * (1 - 1e-4)),
    "no remainder": (conversion, "_log_expansion", lambda *values: EXPANSION(*values[:4], -math.inf)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_of_the_moments_are_found(fault, monkeypatch):
    monkeypatch.setattr(*FAULTS[fault])
    found = []
    for setting in MOMENTS[2:5]:
        verified._quick.cache_clear()
        try:
            check_moments(*setting)
        except (AssertionError, ArithmeticError):
            found.append(setting)
    verified._quick.cache_clear()
    assert found


SAMPLES, FAILURE = 50_000, 1e-9
SAMPLED = [
    # noise, dimension, sampling rate, steps, delta
    (Laplace(scale=1.0), 4, 1.0, 2, 0.01),
    (Laplace(scale=2.0), 1, 0.5, 16, 0.02),
    (LMO.scaled(0.3), 1, 1.0, 4, 0.01),
    (HEAVY, 1, 0.3, 6, 0.02),
    (PRODUCT, 1, 1.0, 5, 0.03),
    (PRODUCT.scaled(0.5), 1, 0.2, 6, 0.01),
    (Gaussian(std=2.0), 3, 1.0, 4, 0.01),
    (Gaussian(std=1.0), 5, 0.4, 3, 0.02),
]


def drawn(noise, size, rng):
    """Draws by the law's definition: a Laplace variable over a random rate."""
    if isinstance(noise, Gaussian):
        return rng.normal(scale=noise.std, size=size)
    if isinstance(noise, Laplace):
        return rng.laplace(scale=noise.scale, size=size)
    rate = np.zeros(size)
    if noise.gamma:
        rate += noise.gamma.weight * rng.gamma(noise.gamma.shape, noise.gamma.scale, size)
    if noise.exponential:
        rate += noise.exponential.weight * rng.exponential(1 / noise.exponential.rate, size)
    if noise.uniform:
        rate += noise.uniform.weight * rng.uniform(noise.uniform.low, noise.uniform.high, size)
    return rng.laplace(size=size) / rate


def mean_bounds(values):
    """Bounds of the mean of variables in [0, 1], each wrong with probability `FAILURE` (Hoeffding 1963, Theorem 1)."""
    mean, least = float(values.mean()), math.log(1 / FAILURE) / len(values)

    def gap(other):
        return rel_entr(mean, other) + rel_entr(1 - mean, 1 - other) - least

    low = brentq(gap, 1e-300, mean) if mean > 0 else 0.0
    return low, brentq(gap, mean, 1 - 1e-12)


def hockey_sticks(noise, dimension, rate, steps, removal, seed=5):
    """A function from epsilon to bounds of delta, by samples of an evenly spread shift of length 1."""
    rng, shift = np.random.default_rng(seed), dimension**-0.5
    losses = np.zeros(SAMPLES)
    for _ in range(steps):
        included = (rng.uniform(size=SAMPLES) < rate) & removal
        x = drawn(noise, (SAMPLES, dimension), rng) + shift * included[:, None]
        ratio = np.exp((noise.log_density(x - shift) - noise.log_density(x)).sum(axis=1))
        losses += np.log1p(rate * (ratio - 1))
    losses = losses if removal else -losses
    return lambda epsilon: mean_bounds(np.maximum(-np.expm1(np.minimum(epsilon - losses, 0)), 0))


@pytest.mark.parametrize("setting", SAMPLED, ids=str)
def test_samples_agree_with_the_interval(setting):
    noise, dimension, rate, steps, delta = setting
    _, found = interval(*setting)
    sticks = [hockey_sticks(noise, dimension, rate, steps, removal) for removal in (True, False)]
    assert max(stick(found.upper)[0] for stick in sticks) <= delta <= max(stick(found.lower)[1] for stick in sticks)
    less = noise.scaled(2 / 3)
    assert hockey_sticks(less, dimension, rate, steps, True)(found.upper)[0] > delta


def test_there_are_forty():
    assert len(CONVOLVED) + len(MOMENTS) + len(SAMPLED) == 40
