"""Powers of a lattice law under convolution; small masses are as accurate as large ones.

An FFT has an absolute error, so its tails are useless. If the law is first tilted by exp(t loss)
and the tilt is undone afterwards, the error is relative near the tilted mean (a saddle point).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import minimize_scalar

from lmodp.accounting.pld.lattice import LatticePair
from lmodp.mechanisms.arrays import Complexes, Floats

_EPS = float(np.finfo(np.float64).eps)
_FULL_LENGTH, _LONGEST = 2**18, 2**21
_LOG_OUTSIDE = 50.0


class TooLong(Exception):
    """A power needs more cells than there is memory for."""


@dataclass(frozen=True, eq=False)
class Power:
    """Masses of a convolution power with their error.

    Args:
        log_masses: log of the computed masses, -inf where lost in rounding, shape (n,).
        log_error: log of a bound on each mass's absolute error, shape (n,).
        first: lattice index of the first mass.
        step: width of the lattice.
    """

    log_masses: Floats
    log_error: Floats
    first: int
    step: float

    @property
    def losses(self) -> Floats:
        """Losses, shape (n,)."""
        return (self.first + np.arange(len(self.log_masses), dtype=np.float64)) * self.step


def log_generating(pair: LatticePair, tilt: float) -> float:
    """Return log of the sum of Q's masses times exp(tilt * loss)."""
    log_masses, losses = pair.support
    return _log_sum(log_masses + tilt * losses)


def _log_sum(terms: Floats) -> float:
    """Return log of the sum of exp(terms); faster than scipy's, which is more general."""
    peak = terms.max()
    return float(peak + np.log(np.exp(terms - peak).sum()))


def tilted_mean(pair: LatticePair, tilt: float) -> float:
    """Return the mean loss under Q's masses times exp(tilt * loss), normalised."""
    log_masses, losses = pair.support
    terms = log_masses + tilt * losses
    weights = np.exp(terms - terms.max())
    return float(weights @ losses / weights.sum())


def tilted_power(pair: LatticePair, count: int, *, tilt: float) -> Power:
    """Return the ``count``-fold convolution of Q's masses, accurate near the tilted mean.

    The window holds the tilted power up to a mass far below rounding; what lies outside is folded
    back by the FFT and is part of the error, bounded by Chernoff.

    Raises:
        TooLong: a window of more than `_LONGEST` cells.
    """
    log_total = log_generating(pair, tilt)
    with np.errstate(divide="ignore"):
        tilted = np.exp(np.log(pair.masses) + tilt * pair.losses - log_total)
    offset, length, outside = _window(tilted, count)
    padded = np.zeros(length)
    np.add.at(padded, np.arange(len(tilted)) % length, tilted)
    spectrum = rfft(padded)
    raised = _raised(spectrum, count)
    power = np.roll(irfft(raised, length), -(offset % length))
    first = count * pair.first + offset
    noise = _rounding(spectrum, raised, count, length) + outside
    losses = (first + np.arange(length)) * pair.step
    with np.errstate(divide="ignore"):
        log_masses = np.log(np.maximum(power, 0.0))
    undo = count * log_total - tilt * losses
    with np.errstate(divide="ignore"):
        log_rounding = np.log(4 * _EPS * (abs(count * log_total) + np.abs(tilt * losses)))
    log_error = np.logaddexp(math.log(noise), log_masses + log_rounding) + undo
    return Power(log_masses + undo, log_error, first, pair.step)


def _raised(spectrum: Complexes, count: int) -> Complexes:
    """Return ``spectrum**count`` by squaring, five times as fast as numpy's logarithms; its relative error
    is at most a few eps times ``count``."""
    square = spectrum
    while count % 2 == 0:
        count //= 2
        square = square * square
    found = square
    while count := count // 2:
        square = square * square
        if count % 2:
            found = found * square
    return found


def _rounding(spectrum: Complexes, raised: Complexes, count: int, length: int) -> float:
    """Return a bound of each mass's rounding error: the mean over frequencies of the error of F**count,
    in which F, of modulus at most 1, carries an error of a few eps (1 + log2(length))."""
    size = np.minimum(np.abs(spectrum), 1.0)
    one_less = np.divide(np.abs(raised), size, out=np.full_like(size, count == 1), where=size > 0)
    mean = 2 * float(np.sum(one_less * (count + size))) / length
    return 8 * _EPS * math.log2(2 * length) * mean


def _window(masses: Floats, count: int) -> tuple[int, int, float]:
    """Return (offset, FFT length, mass outside) of a window for the power of ``masses``."""
    full = count * (len(masses) - 1) + 1
    if full <= _FULL_LENGTH:
        return 0, next_fast_len(full, real=True), 0.0
    index = np.arange(len(masses), dtype=np.float64)
    mean = float(masses @ index)
    low, high = (_chernoff_end(masses, index - mean, count, sign) for sign in (-1, 1))
    offset = max(0, math.floor(count * mean - low))
    length = min(full - offset, math.ceil(count * mean + high) - offset + 1)
    if length > _LONGEST:
        raise TooLong(f"{length} cells")
    return offset, next_fast_len(length, real=True), 2 * math.exp(-_LOG_OUTSIDE)


def _chernoff_end(masses: Floats, centred: Floats, count: int, sign: int) -> float:
    """Return the distance from the mean beyond which the power has mass at most exp(-50)."""
    there = masses > 0
    values, log_masses = sign * centred[there], np.log(masses[there])

    def end(log_rate: float) -> float:
        rate = math.exp(log_rate)
        return (count * _log_sum(log_masses + rate * values) + _LOG_OUTSIDE) / rate

    scale = 1 / math.sqrt(max(float(masses[there] @ values**2), 1e-300))
    best = minimize_scalar(end, bounds=(math.log(scale) - 15, math.log(scale) + 5), method="bounded")
    return float(best.fun)
