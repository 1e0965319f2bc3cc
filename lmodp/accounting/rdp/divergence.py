"""Renyi moments of a shifted Laplace mixture, exactly and bounded over an interval of shifts.

Write P for the law of X and Q for the law of X + v, v > 0, and F_a(v) = E_P[(Q/P)^a].
With l_v(y) = log p(y) - log p(y + v) >= 0 for y >= 0, and for u in [0, v]
m_v(u) = log p((v-u)/2) - log p((v+u)/2) >= 0, splitting at x = 0 and x = v and using the
unit mass of P and Q gives a sum of positive terms, exact and without cancellation:

    F_a(v) - 1 = int_0^inf p(y) g(l_v(y)) dy + 1/2 int_0^v p((v-u)/2) g(m_v(u)) du,
    g(z) = (1 - exp(-a z)) (exp((a-1) z) - 1),  increasing in z >= 0.

Bound over v0 <= v <= v1. p is log-convex on y > 0, so the score s is non-increasing, hence
l_v(y)/v and, at a fixed ratio w = u/v, m_v/v are non-increasing in v, while l_v itself is
non-decreasing. Because g(z) = exp(-z/2) 4 sinh(a z/2) sinh((a-1) z/2) and the product of the
two sinh over z^2 is increasing, with D = l_v0/v0 (the score itself for v0 = 0)

    g(l_v)/v^2 <= exp((v1 - v0) D/2) g(v1 D) / v1^2,

and likewise for the middle term. Finally log(1 + Y v^2)/v^2 is non-increasing in v. So
log F_a(v)/v^2 is bounded over a whole interval, [0, v1] included, from values at v0 alone.
At v0 = v1 the bound is the value.
"""

from dataclasses import dataclass

import numpy as np

from lmodp.errors import Unsupported
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import FloatLike, Floats
from lmodp.mechanisms.moments import log_grid

# log p(y) - log p(y + v) is a difference of numbers below 1e3 and loses digits at small v:
# each exponent is raised by this much, relatively, which is far above the loss at v >= 1e-6/L.
SLACK = 1e-8
_ROUNDINGS = 8 * float(np.finfo(np.float64).eps)  # of a log density, relative to 1 plus its size
_NEGLIGIBLE = 1e-13


def log_g(z: Floats, order: Floats) -> Floats:
    """Return log of (1 - exp(-a z)) (exp((a-1) z) - 1) for z > 0."""
    rise = (order - 1) * z
    with np.errstate(over="ignore", divide="ignore"):
        log_rise = np.where(rise > 30, rise, np.log(np.expm1(np.minimum(rise, 30))))
        return log_rise + np.log(-np.expm1(-order * z))


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Nodes for int_0^inf p(y) f(y) dy; the parts beyond both ends are bounded.

    Args:
        y: nodes, uniform in log y, shape (n,), n odd.
        log_weight: log of p(y) y times the step, shape (n,).
        left_mass, right_mass: int of p below the first and above the last node.
    """

    y: Floats
    log_density: Floats
    log_weight: Floats
    score: Floats
    left_mass: float
    right_mass: float


def quadrature(noise: RateMixture) -> Quadrature:
    """Return nodes that carry all but 1e-13 of the Fisher information and of the mass near 0."""
    log_y = log_grid(1 / noise.score_maximum)[::2]  # steps of 1/8; the coarser check takes 1/4
    step = log_y[1] - log_y[0]
    y = np.exp(log_y)
    log_p, score, log_s = noise.log_density(y), noise.score(y), noise.log_survival(y)
    first = int(np.searchsorted(-np.expm1(log_s), _NEGLIGIBLE))
    with np.errstate(under="ignore"):
        beyond = np.exp(log_s) * score**2 < _NEGLIGIBLE * noise.fisher_information
    last = int(np.argmax(beyond)) if beyond.any() else len(y) - 1
    if first >= last:
        raise Unsupported("the places where the noise has its mass are too far apart for a quadrature")
    last -= (last - first) % 2
    keep = slice(first, last + 1)
    return Quadrature(
        y[keep],
        log_p[keep],
        (log_p + log_y)[keep] + np.log(step),
        score[keep],
        float(-np.expm1(log_s[first]) / 2),
        float(np.exp(log_s[last]) / 2),
    )


def ratio_bound(noise: RateMixture, nodes: Quadrature, *, order: Floats, v0: Floats, v1: Floats) -> Floats:
    """Return an upper bound of log F_a(v)/v**2 over v0 <= v <= v1; at v0 = v1 its value.

    Args:
        nodes: `quadrature` of the noise.
        order: a >= 2, shape (m,).
        v0: lower end, >= 0, shape (m,).
        v1: upper end, > 0, shape (m,).

    Returns:
        shape (m,), with the difference to a quadrature of half the nodes added.
    """
    log_y = np.logaddexp(_outer(noise, nodes, order, v0, v1), _middle(noise, order, v0, v1))
    with np.errstate(divide="ignore", invalid="ignore"):
        shrunk = np.logaddexp(0.0, log_y + 2 * np.log(v0)) / v0**2
        at_zero, beside = noise.log_density(0.0), noise.log_density(v0)
        rounded = at_zero - beside + _ROUNDINGS * (1 + np.abs(at_zero))
        flat = np.minimum(rounded, v0 * noise.score_maximum)  # R_a <= R_inf = l_v(0) <= v s(0)
        trivial = (order - 1) * flat / v0**2
    flat_bound = np.where(log_y < 700, np.exp(np.minimum(log_y, 700.0)), np.inf)
    return np.where(v0 > 0, np.fmin(shrunk, trivial), flat_bound) * (1 + SLACK)


def _log_bound(slope: FloatLike, order: Floats, v1: Floats, lift: Floats) -> Floats:
    """Return log of exp(lift/2) g(v1 slope) / v1^2."""
    found: Floats = lift / 2 + log_g(v1 * slope, order) - 2 * np.log(v1)
    return found


def _outer(noise: RateMixture, nodes: Quadrature, order: Floats, v0: Floats, v1: Floats) -> Floats:
    """Return log of the bound of the first integral over v^2, shape (m,)."""
    a, start, end = order[:, None], v0[:, None], v1[:, None]
    starts, row = np.unique(v0, return_inverse=True)  # intervals of several orders begin at one shift
    log_far, score_far = (found[row] for found in noise.log_density_and_score(nodes.y + starts[:, None]))  # (m, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(start > 0, (nodes.log_density - log_far) / start, nodes.score)
    slope = np.clip(slope, score_far, nodes.score) * (1 + SLACK)
    terms = nodes.log_weight + _log_bound(slope, a, end, (end - start) * slope)
    ends = [
        np.log(2 * mass) + _log_bound(s, order, v1, (v1 - v0) * s)
        for mass, s in ((nodes.left_mass, noise.score_maximum), (nodes.right_mass, nodes.score[-1]))
    ]
    found: Floats = np.logaddexp(_log_trapezoid(terms), np.logaddexp(*ends))
    return found


def _log_trapezoid(terms: Floats) -> Floats:
    """Return log of the trapezoidal sum of exp(terms) over the last axis (an odd number of nodes), plus
    its distance from the sum over every other node."""
    peak = terms.max(axis=-1)
    values = np.exp(terms - peak[..., None])
    fine, coarse = values.sum(axis=-1), 2 * values[..., ::2].sum(axis=-1)
    found: Floats = peak + np.log(fine + np.abs(fine - coarse))
    return found


def _double_exponential() -> tuple[Floats, Floats, Floats]:
    """Return w in (0, 1), 1 - w and the log weights of the tanh-sinh rule, an odd number of nodes: at the
    orders of thousands that weak noise needs, all the mass lies within 1/(a v L) of w = 1."""
    t = np.linspace(-_REACH, _REACH, _MIDDLE_NODES)
    bend = np.pi / 2 * np.sinh(t)
    rest = 1 / (1 + np.exp(2 * bend))
    weight = (t[1] - t[0]) * np.pi / 2 * np.cosh(t) / (2 * np.cosh(bend) ** 2)
    return 1 / (1 + np.exp(-2 * bend)), rest, np.log(weight)


_REACH, _MIDDLE_NODES = 3.2, 53
_W, _REST, _LOG_WEIGHT = _double_exponential()


def _middle(noise: RateMixture, order: Floats, v0: Floats, v1: Floats) -> Floats:
    """Return log of the bound of the second integral over v^2, shape (m,)."""
    start, end = v0[:, None], v1[:, None]
    starts, row = np.unique(v0, return_inverse=True)
    places = (starts[:, None] * share for share in (_REST / 2, (1 + _W) / 2))
    (log_near, score_near), (log_far, score_far) = (
        (log_p[row], score[row]) for log_p, score in map(noise.log_density_and_score, places)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(start > 0, (log_near - log_far) / start, _W * noise.score_maximum)
    slope = np.clip(slope, _W * score_far, _W * score_near) * (1 + SLACK)
    ends, row = np.unique(v1, return_inverse=True)
    least = noise.log_density(ends[:, None] * (_REST / 2))[row] - log_far
    bound = _log_bound(slope, order[:, None], end, end * slope - least)
    return _log_trapezoid(_LOG_WEIGHT + log_near + bound) + np.log(v1 / 2)
