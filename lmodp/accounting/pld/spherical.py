"""The pair of a spherical law and its shift, cut into cells by privacy loss.

P is the law of X, with potential phi(r) = (r/scale)^power in the norm, and Q that of X shifted by a vector of
length v. All directions are alike, and the loss depends on the two distances from the centres alone. Among the
points at distance r from one centre, those of a loss of at least b are a cap of the sphere, whose share is an
incomplete beta function; so a mass is one integral over the law of r.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import betainc, betaincc, gammainc, gammaln

from lmodp.errors import Unsupported
from lmodp.mechanisms import Spherical
from lmodp.mechanisms.arrays import Booleans, FloatLike, Floats

RELATIVE_ERROR = 1e-8  # of the masses of cells: accountants raise and lower them by it
_ESTIMATE = 2e-5  # largest difference from the rule with half the nodes: the error is about its square
_TINY = 1e-45  # mass of norms that are left out on either side; masses near it are not looked at
_NODES, _REACH = (128, 512), 3.4  # on either side of the tanh-sinh rule, and the end of its variable
_BISECTIONS = 100
_LESS, _TRIED = 0.85, 60  # largest losses tried
_BLOCK = 1024
_LARGE = 1e3  # of Gamma shapes: Stirling's series is then exact to doubles


def largest_spherical_loss(noise: Spherical, shift: float, outside: float) -> float:
    """Return a loss of Q over P that Q exceeds with at most probability ``outside``, hardly above the least."""
    v = shift / noise.scale
    most = float(noise.norm_quantile(outside / 2, upper=True)) / noise.scale
    largest = v**noise.power if noise.power <= 1 else float(_rise(np.array([most]), v, noise.power)[0])
    tried: Floats = largest * _LESS ** np.arange(_TRIED, dtype=np.float64)
    mass = _at_least(noise, v, tried, True)
    return float(tried[np.flatnonzero(mass <= outside)[-1]]) if mass[0] <= outside else largest


def spherical_cells(noise: Spherical, shift: float, bounds: Floats) -> tuple[Floats, Floats]:
    """Return (P, Q) masses of the cells bounds[j] <= loss < bounds[j+1], Q the likelier law; to `RELATIVE_ERROR`.

    Args:
        bounds: of the loss, ascending, non-negative, shape (n + 1,).

    Raises:
        Unsupported: the rule of integration does not settle.
    """
    parts = [bounds[i : i + _BLOCK] for i in range(0, len(bounds), _BLOCK)]
    q, p = (np.concatenate([_at_least(noise, shift / noise.scale, b, own) for b in parts]) for own in (True, False))
    return p[:-1] - p[1:], q[:-1] - q[1:]


def _rise(r: Floats, v: FloatLike, power: float) -> Floats:
    """Return phi(r + v) - phi(r) without cancellation, for a scale of 1."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        found = r**power * np.expm1(power * np.log1p(v / r))
    return np.where(r > 0, found, v**power)


def _at_least(noise: Spherical, v: float, loss: Floats, own: bool) -> Floats:
    """Return the mass of Q (``own``) or of P where the loss, of Q over P, is at least ``loss``; the scale is 1."""
    power, shape = noise.power, noise.dimension / noise.power
    near = _bisect(lambda r: _rise(r, v - 2 * r, power) < loss, np.zeros_like(loss), np.full_like(loss, v / 2))
    least, most = (float(noise.norm_quantile(_TINY, upper=upper)) / noise.scale for upper in (False, True))
    far = _far(loss, v, power, most)
    outer = far if power < 1 else np.full_like(loss, np.inf)
    within, never = loss <= v**power, (power <= 1) & (loss >= v**power * (1 - 1e-13))
    inner = np.where(within, near, far if power > 1 else np.inf)
    if own:
        full = np.where(within, gammainc(shape, near**power), 0.0)
        low, high = inner, outer
    else:
        full = np.zeros_like(loss)
        low, high = np.where(within, v - near, v + inner), v + outer
    low, high = np.clip(low, least, most), np.clip(np.where(never, 0.0, high), least, most)

    def density(r: Floats) -> Floats:
        found = _norm_density(noise, r)
        return found * _share(noise, v, r, loss[:, None], own, found > _TINY)

    return np.where(never, 0.0, full + _integral(density, np.minimum(low, high), high))


def _far(loss: Floats, v: float, power: float, most: float) -> Floats:
    """Return the r at which phi(r + v) - phi(r) is ``loss``; it rises in r for a power above 1, and falls below 1."""
    sign = 1.0 if power > 1 else -1.0
    low, high = np.full_like(loss, -160.0), np.full_like(loss, math.log(most) + 1)
    return np.exp(_bisect(lambda log_r: sign * (_rise(np.exp(log_r), v, power) - loss) >= 0, low, high))


def _norm_density(noise: Spherical, r: Floats) -> Floats:
    """Return the density of the norm at scale 1; near its mode without cancellation."""
    shape = noise.dimension / noise.power
    log_ratio = noise.power * np.log(r) - math.log(shape)  # of r^power, a Gamma variable, to its mean
    stirling = 0.5 * math.log(shape / (2 * math.pi)) - 1 / (12 * shape) + 1 / (360 * shape**3)
    constant = stirling if shape > _LARGE else shape * math.log(shape) - shape - float(gammaln(shape))
    found: Floats = np.exp(constant - shape * (np.expm1(log_ratio) - log_ratio)) * noise.power / r
    return found


def _share(noise: Spherical, v: float, r: Floats, loss: Floats, own: bool, there: Booleans) -> Floats:
    """Return the cap's share of the sphere of radius r about the law's own centre, where it counts (``there``).

    The other distance at the cap's edge is r (1 + z) for Q and r (1 - y) for P. With c the cosine of the edge,
    1 - c and 1 + c are products of differences that are computed without cancellation.
    """
    half, sign = (noise.dimension - 1) / 2, 1.0 if own else -1.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        moved = r * np.abs(np.expm1(np.log1p(sign * loss / r**noise.power) / noise.power))
        down = (v - moved) * (2 * r + sign * (v + moved)) / (2 * r * v)
        up = (v + moved) * (2 * r - sign * (v - moved)) / (2 * r * v)
        square = np.minimum((1 - down) ** 2, 1.0)
        cap = (
            betainc(half, 0.5, np.clip(down * up, 0.0, 1.0), where=there & (square >= 0.5), out=np.zeros_like(down)) / 2
        )
        cap += betaincc(0.5, half, square, where=there & (square < 0.5), out=np.zeros_like(down)) / 2
    share = np.where(down <= 0, 0.0, np.where(up <= 0, 1.0, np.where(down <= 1, cap, 1 - cap)))
    found: Floats = np.where(np.isnan(share), 0.0, share)
    return found


def _integral(density: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Integrate from ``low`` to ``high`` by the tanh-sinh rule, which bears algebraic ends.

    Raises:
        Unsupported: the finest rule differs from the one with half its nodes.
    """
    width = (high - low)[:, None]
    for nodes in _NODES:
        step = _REACH / nodes
        t = step * np.arange(-nodes, nodes + 1)
        ratio = np.exp(math.pi * np.sinh(t))  # the node divides the interval as ratio : 1
        weight = step * math.pi * np.cosh(t) * ratio / (1 + ratio) ** 2
        from_low, from_high = width * (ratio / (1 + ratio)), width / (1 + ratio)
        node = np.where(t < 0, low[:, None] + from_low, high[:, None] - from_high)
        terms = density(node) * weight * width
        fine, coarse = terms.sum(axis=1), 2 * terms[:, ::2].sum(axis=1)
        if not np.any((np.abs(fine - coarse) > _ESTIMATE * fine) & (fine > _TINY**0.6)):
            found: Floats = fine
            return found
    raise Unsupported("the masses of this spherical noise cannot be integrated to 1e-8: its tail is too heavy")


def _bisect(true_above: Callable[[Floats], Booleans], low: Floats, high: Floats) -> Floats:
    for _ in range(_BISECTIONS):
        centre = (low + high) / 2
        hit = true_above(centre)
        low, high = np.where(hit, low, centre), np.where(hit, centre, high)
    return (low + high) / 2
