"""What is checked of a noise law before an answer rests on it: that its functions are of one law.

A law that is defined outside the package is what its author says it is. Its functions are compared with each other at
a few places from the middle to far out; what they say between is the author's.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from lmodp.errors import FOREIGN_ERRORS, LmodpError, Unsupported, describe_error
from lmodp.mechanisms.arrays import Booleans, Floats
from lmodp.mechanisms.mixture import RateMixture
from lmodp.mechanisms.noise import FARTHEST, Noise, require_record
from lmodp.vocabulary import is_foreign

_APART, _UNEVEN = 1e-3, 1e-4  # relative distance of two points, and error of what is compared
_RISE, _ROUNDED = 1e-6, 1e-12  # of a log density that does not rise, and of a logarithm
_MOMENT_ERROR = 1e-3
_FACTORS = 0.4, 2.5
_REACH, _LEAST = 700.0, 1e-290  # -log of a survival, and a derivative, down to which a mixture is looked at
_SEEN = np.geomspace(1e-6, 1e6, 13)  # where a law's functions are looked at whenever it is used
_COMPARED = "The contract's tests compare the functions of a law."


def mixture_of(noise: Noise) -> RateMixture:
    """Return a noise that is not Gaussian as the Laplace mixture it must be.

    Raises:
        Unsupported: a law of another family, for which no bound is proven, or as `require_sound_law`.
    """
    if not isinstance(noise, RateMixture):
        raise Unsupported(f"noise = {noise.family!r}: no bound is proven for this family. Use a Laplace mixture.")
    require_sound_law(noise)
    return noise


def require_sound_law(noise: Noise) -> None:
    """Refuse a law from outside the package whose parts are not of one law; a law within it passes at once.

    Raises:
        InvalidValue: it is no frozen dataclass compared by all its fields.
        Unsupported: which part is wrong, and where.
    """
    if not is_foreign(type(noise)):
        return
    require_record(type(noise))
    try:
        hash(noise)
    except TypeError as error:
        raise _wrong(noise, f"its fields must be numbers, words or tuples of such: {error}") from error
    if _checked(noise) != _seen(noise):
        raise _wrong(noise, "its functions change between calls. Make what they depend on a field.")


@lru_cache(maxsize=256)
def _checked(noise: Noise) -> bytes:
    seen = _seen(noise)
    with np.errstate(all="ignore"):
        if isinstance(noise, RateMixture):
            _require_mixture(noise)
        exponent = np.arange(0, 36.5, 0.5)
        x = _values(noise, "inverse_log_survival", exponent)
        early, x = exponent[np.isinf(x)], x[np.isfinite(x)]
        if len(early) and -_values(noise, "log_survival", np.array([FARTHEST]))[0] > early[0]:
            raise _wrong(noise, f"inverse_log_survival({early[0]:g}) is infinite, and there are draws beyond it")
        log_p = _values(noise, "log_density", np.append(x, 2 * x[-1]))
        if np.any(log_p[1:] > log_p[:-1] + _RISE):
            raise _wrong(noise, "the density rises on x > 0: no bound on epsilon is proven")
        if abs(float(_values(noise, "log_survival", np.zeros(1))[0])) > _ROUNDED:
            raise _wrong(noise, "log_survival(0) is not 0")
        require_one_law(noise)
        _require_lengths(noise)
        _require_moments(noise)
    return seen


def require_one_law(noise: Noise) -> None:
    """Refuse a law whose functions disagree, at a few places from the middle to far out.

    2p/S is the slope of -log S. As p does not rise, its mean between two points lies between its values there.

    Raises:
        Unsupported: which two functions disagree, and where.
    """
    exponent = np.array([0.03, 0.3, 1.0, 3.0, 10.0, 30.0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = _values(noise, "inverse_log_survival", exponent)
        exponent, x = exponent[np.isfinite(x)], x[np.isfinite(x)]
        low, high = x * (1 - _APART), x * (1 + _APART)
        reached, before, after = (-_values(noise, "log_survival", at) for at in (x, low, high))
        near, far = (_values(noise, "log_density", at) for at in (low, high))
        slope = (after - before) / (high - low)
        most, least = 2 * np.exp(near + after) * (1 + _UNEVEN), 2 * np.exp(far + before) * (1 - _UNEVEN)
    for at, there, found, steepness, steepest, flattest in zip(exponent, x, reached, slope, most, least, strict=True):
        if not math.isclose(at, found, rel_tol=_UNEVEN):
            rule = f"inverse_log_survival({at:g}) is {there:.6g}, and -log_survival is {found:.6g} there"
            raise _wrong(noise, f"the sampler is not of this law: {rule}. {_COMPARED}")
        if not flattest <= steepness <= steepest:
            rule = f"at {there:.6g} the slope of -log_survival is {steepness:.6g}, and 2 p/S is {flattest:.6g} or more"
            raise _wrong(noise, f"density and survival are not of one law: {rule}. {_COMPARED}")


def _require_mixture(noise: RateMixture) -> None:
    """Refuse a rate whose K' is not the slope of K, or whose K'' is not that of K'.

    The mean slope of -log S between two points lies between its values K' there, and that of -log p between the scores,
    as both fall in a mixture.
    """
    unit = 1 / _derivatives(noise, np.zeros(1))[1, 0]
    at = unit * np.append(0.0, np.geomspace(_APART, 1e12, 150))
    low, high = at, np.append(at[1], at[1:] * (1 + _APART))
    before, after = _derivatives(noise, low), _derivatives(noise, high)
    there = (after[0] > -_REACH) & (np.minimum(before[1], after[1]) > _LEAST)
    falls = (before[1] > 0) & (before[2] >= -_ROUNDED * before[1] ** 2)
    slopes = {"K'": (before[0], after[0], before[1], after[1])}
    near, far = noise.log_density_and_score(low), noise.log_density_and_score(high)
    slopes["K''"] = (near[0], far[0], near[1], far[1])
    for name, (first, second, steepest, flattest) in slopes.items():
        error = _ROUNDED * (1 + np.abs(second)) / (high - low)
        mean = (first - second) / (high - low)
        sound = (mean <= steepest * (1 + _RISE) + error) & (mean >= flattest * (1 - _RISE) - error)
        _require_everywhere(noise, there, sound, at, f"log_mgf's {name} is not of this K, or no rate above 0 has it,")
    _require_everywhere(noise, before[0] > -_REACH, falls, at, "K' or K'' of log_mgf is not above 0: no rate has it,")


def _require_everywhere(noise: Noise, there: Booleans, sound: Booleans, at: Floats, rule: str) -> None:
    if not sound[there].all():
        raise _wrong(noise, f"{rule} at -t = {at[there & ~sound][0]:.6g}. {_COMPARED}")


def _derivatives(noise: RateMixture, x: Floats) -> Floats:
    """Return K, K', K'' at -x, shape (3, n)."""
    return np.stack([_values(noise, "log_mgf", -x, part=part) for part in range(3)])


def _require_lengths(noise: Noise) -> None:
    """Refuse a law whose `scaled` is not that of the multiple: a field that is a length was forgotten."""
    x = _values(noise, "inverse_log_survival", np.array([0.03, 0.3, 1.0, 3.0, 10.0, 30.0]))
    x = x[np.isfinite(x)]
    for factor in _FACTORS:
        with _named(noise, f"scaled({factor}), which multiplies the fields in `lengths`,"):
            grown = noise.scaled(factor)
        for name, gain in (("log_survival", 0.0), ("log_density", math.log(factor))):
            found, known = _values(grown, name, factor * x) + gain, _values(noise, name, x)
            if not np.allclose(found, known, rtol=_UNEVEN, atol=_UNEVEN):
                rule = f"{name} of scaled({factor}) is not that of {factor} times the noise"
                raise _wrong(noise, f"{rule}. `lengths` names every field that is a length.")


def _require_moments(noise: Noise) -> None:
    for name, power in (("variance", 2), ("mean_abs", 1)):
        with _named(noise, f"its {name}"):
            stated, found = float(getattr(noise, name)), Noise._moment(noise, power)
        if not math.isclose(stated, found, rel_tol=_MOMENT_ERROR):
            raise _wrong(noise, f"its {name} is stated as {stated:.6g}, and that of its survival is {found:.6g}")


def _seen(noise: Noise) -> bytes:
    with np.errstate(all="ignore"):
        return b"".join(_array(noise, name, _SEEN).tobytes() for name in ("log_survival", "log_density"))


def _values(noise: Noise, name: str, x: Floats, part: int | None = None) -> Floats:
    """Return what a function of a law, or one part of it, knows of each of many places."""
    found = _array(noise, name, x, part)
    if np.isnan(found).any():
        remedy = " Where the density is 0 its logarithm is -inf." if name == "log_density" else ""
        raise _wrong(noise, f"{name}({x[np.isnan(found)][0]:.6g}) is NaN.{remedy}")
    return found


def _array(noise: Noise, name: str, x: Floats, part: int | None = None) -> Floats:
    with _named(noise, f"{name} of an array"):
        given: Any = getattr(noise, name)(x)
        found = np.asarray(given if part is None else given[part], dtype=np.float64)
    if found.shape != x.shape:
        raise _wrong(noise, f"{name} of an array of shape {x.shape} has the shape {found.shape}")
    return found


@contextmanager
def _named(noise: Noise, what: str) -> Iterator[None]:
    """Tell the author which function failed."""
    try:
        yield
    except LmodpError:
        raise
    except FOREIGN_ERRORS as error:
        raise _wrong(noise, f"{what} fails: {describe_error(error)}") from error


def _wrong(noise: Noise, rule: str) -> Unsupported:
    return Unsupported(f"noise = {noise.family!r}: {rule}")
