"""The interface of every noise law: data for accountants, samplers and tables.

A `Noise` is the law of one coordinate: symmetric about 0, unimodal, immutable and
hashable. It knows nothing of privacy. Infinite moments are ``math.inf``.

A law of one's own is a frozen dataclass that states a ``family``, its ``lengths`` if they are not a ``scale``, and two
functions: ``log_survival`` and ``log_density``. Everything else has a default from these; a closed form is better.
It derives from `Noise` or `RateMixture`: the accountants would take a subclass of `Gaussian` for a Gaussian.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cached_property
from inspect import get_annotations
from typing import Any, ClassVar, Self

import numpy as np

from lmodp.errors import Fault, InvalidValue, require
from lmodp.mechanisms.arrays import FloatLike, Floats
from lmodp.vocabulary import is_foreign

_DIFFERENCE = 1e-6
FARTHEST, _BISECTIONS = 1e300, 60  # the largest noise of use
_LEAST_FALL = 1e-3  # of a moment's integrand, at the end of the panels, below which the moment is infinite
_NODES, _PANELS = 32, np.concatenate([[0.0], 2.0 ** np.arange(-24.0, 6.5, 0.5)])


def _require_open(law: type[Noise]) -> None:
    """Refuse a class of which another law's bounds would be taken for its own, or a field would hide a property."""
    closed = [base.__name__ for base in law.__mro__[1:] if "family" in vars(base) and not is_foreign(base)]
    rule, remedy = "is a subclass of {}, whose bounds are not its own", "Derive it from Noise or RateMixture."
    require(not closed, "law", law.__qualname__, rule.format(*closed or ("",)), remedy)
    for name in law.follows:
        owner = next(base for base in law.__mro__ if name in vars(base))
        rule = f"has its own {name}, which follows from other functions"
        require(not is_foreign(owner), "law", law.__qualname__, rule, "Leave it out.")
    for name in get_annotations(law):
        hides = any(isinstance(vars(base).get(name), (property, cached_property)) for base in law.__mro__[1:])
        require(
            not hides, "law", law.__qualname__, f"has a field {name!r}, which is a property of every law", "Rename it."
        )


def require_record(law: type) -> None:
    """Refuse a law that is no frozen dataclass compared by all its fields: answers are kept by the law.

    Raises:
        InvalidValue: it is none.
    """
    frozen = getattr(getattr(law, "__dataclass_params__", None), "frozen", False)
    sound = frozen and all(item.compare and item.hash is not False for item in fields(law))
    rule = "must be a frozen dataclass that is compared by all its fields"
    require(sound, "law", law.__qualname__, rule, "Decorate it with @dataclass(frozen=True, kw_only=True).")


class Noise(ABC):
    """A symmetric unimodal law of noise in one coordinate.

    Vectorised methods take numbers or arrays and return float64 arrays of the
    same shape.
    """

    family: ClassVar[str]
    independent: ClassVar[bool] = True  # whether the coordinates of a vector are independent draws
    lengths: ClassVar[tuple[str, ...]] = ("scale",)  # fields that are in units of the released sum
    follows: ClassVar[tuple[str, ...]] = ()  # functions that a law from outside the package may not state itself
    laws: ClassVar[dict[str, type[Noise]]] = {}  # those defined so far, by family; records are read by it
    refused: ClassVar[dict[str, str]] = {}  # and why a class was refused, by its family

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if is_foreign(cls):
            try:
                _require_open(cls)
            except InvalidValue as error:
                Noise.refused[getattr(cls, "family", "")] = str(error)
                raise
        if "family" in vars(cls):
            place, other = (cls.__module__, cls.__qualname__), Noise.laws.setdefault(cls.family, cls)
            if place != (other.__module__, other.__qualname__):
                rule = f"is the family of {other.__module__}.{other.__qualname__}"
                raise InvalidValue(str(Fault("family", cls.family, rule, "Choose another name.")))
            Noise.laws[cls.family] = cls

    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain JSON values that `noise_from_dict` reads: its family and its fields."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))  # type: ignore[arg-type]
        return {"family": self.family, **{name: list(v) if isinstance(v, tuple) else v for name, v in values}}

    def scaled(self, factor: float) -> Self:
        """Return the law of ``factor * X``; ``factor`` in (0, inf). The default multiplies the fields ``lengths``."""
        positive("factor", factor, *FACTORS)
        values = {name: getattr(self, name) for name in self.lengths}
        grown = {n: tuple(factor * v for v in x) if isinstance(x, tuple) else factor * x for n, x in values.items()}
        return replace(self, **grown)  # type: ignore[type-var]

    @abstractmethod
    def log_survival(self, x: FloatLike) -> Floats:
        """Return log P(|X| > x), 0 where ``x <= 0``."""

    @abstractmethod
    def log_density(self, x: FloatLike) -> Floats:
        """Return log p(x)."""

    def score(self, x: FloatLike) -> Floats:
        """Return s(x) = -p'(x)/p(x), odd in x; at 0 the limit from the right.

        The default is a difference over a millionth of the scale at x, good to about six digits.
        """
        x = np.asarray(x, dtype=np.float64)
        size = np.abs(x)
        step = _DIFFERENCE * (size + float(self.inverse_log_survival(math.log(2))))
        rise: Floats = (self.log_density(size) - self.log_density(size + step)) / step
        return np.where(x < 0, -rise, rise)

    def _expected(self, function: Callable[[Floats], Floats]) -> float:
        """Return E f(|X|), over E = -log P(|X| > x), a standard exponential variable; to about eight digits."""
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        half = np.diff(_PANELS)[:, None] / 2
        exponent = _PANELS[:-1, None] + half * (1 + nodes)
        with np.errstate(over="ignore"):
            return float(np.sum(half * weights * np.exp(-exponent) * function(self.inverse_log_survival(exponent))))

    def inverse_log_survival(self, exponent: FloatLike) -> Floats:
        """Return the x >= 0 with -log P(|X| > x) = ``exponent`` >= 0; ``inf`` beyond 1e300.

        With ``exponent`` a standard exponential draw this is a draw of |X|. The default bisects log x.
        """
        target = np.asarray(exponent, dtype=np.float64)
        low, high = np.full_like(target, 1 / FARTHEST), np.full_like(target, FARTHEST)
        with np.errstate(over="ignore", divide="ignore"):  # far out, the survival is 0
            inside = -self.log_survival(high) >= target
            for _ in range(_BISECTIONS):
                centre = np.sqrt(low) * np.sqrt(high)
                below = -self.log_survival(centre) < target
                low, high = np.where(below, centre, low), np.where(below, high, centre)
        return np.where(target == 0, 0.0, np.where(inside, high, np.inf))

    def _moment(self, power: int) -> float:
        """Return E|X|**power, by `_expected` and what lies beyond; ``inf`` where the tail's power is too small."""
        log_x = np.log(self.inverse_log_survival(_PANELS[-2:]))
        fall = 1 - power * float((log_x[1] - log_x[0]) / (_PANELS[-1] - _PANELS[-2]))
        if not fall > _LEAST_FALL:
            return math.inf
        return self._expected(lambda x: x**power) + math.exp(power * float(log_x[1]) - _PANELS[-1]) / fall

    @property
    def variance(self) -> float:
        """Var X, ``inf`` where it does not exist."""
        return self._moment(2)

    @property
    def mean_abs(self) -> float:
        """E|X|, ``inf`` where it does not exist."""
        return self._moment(1)

    @property
    def entropy(self) -> float:
        """Differential entropy -E[log p(X)] in nats."""
        return -self._expected(self.log_density)

    @property
    def fisher_information(self) -> float:
        """I = E[s(X)^2], Fisher information of the location."""
        return self._expected(lambda x: self.score(x) ** 2)

    @property
    def score_maximum(self) -> float:
        """L = sup |s|, the slope of the privacy loss of an infinitesimal shift; ``inf`` where it is not known."""
        return math.inf

    def survival(self, x: FloatLike) -> Floats:
        """Return P(|X| > x)."""
        found: Floats = np.exp(self.log_survival(x))
        return found

    def density(self, x: FloatLike) -> Floats:
        """Return p(x)."""
        found: Floats = np.exp(self.log_density(x))
        return found

    @property
    def knots(self) -> tuple[float, ...]:
        """Points x > 0 where the density jumps; accountants of one number cut there."""
        return ()

    def log_density_bounds(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return bounds of log p on [``low``, ``high``], 0 <= low <= high with no knot between: p does not rise."""
        return self.log_density(high), self.log_density(low)

    def usefulness(self, gamma: float) -> float:
        """Return P(|X| <= gamma), the metric of the published search; ``gamma`` >= 0."""
        require(gamma >= 0, "gamma", gamma, "must be at least 0")
        return float(-np.expm1(self.log_survival(gamma)))

    @property
    def std(self) -> float:
        """Standard deviation, ``inf`` where the variance does not exist."""
        return math.sqrt(self.variance)

    @property
    def sigma_effective(self) -> float:
        """1/sqrt(I): std of the Gaussian that gives the same protection in many dimensions."""
        return 1 / math.sqrt(self.fisher_information)

    @property
    def efficiency(self) -> float:
        """1/(I Var X): 1 for a Gaussian, at most 1/2 for a Laplace mixture, 0 without a variance."""
        return 1 / (self.fisher_information * self.variance)


# Parameters of noise in units of the clip norm. Within these ranges no moment, square or product of them leaves the
# range of doubles, also after `Noise.scaled`; far outside them no noise is of use.
SMALLEST, LARGEST = 1e-30, 1e30
FACTORS = 1e-60, 1e60


def number(name: str, value: Any, rule: str = "must be finite", *, infinite: bool = False) -> float:
    """Return a number of Python or numpy as a float.

    Args:
        rule: of the message about NaN and infinity.
        infinite: whether infinity is allowed.

    Raises:
        InvalidValue: no number (True and False are none), or not finite.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    require(real, name, value, "must be a number")
    try:
        found = float(value)
    except OverflowError:  # a whole number beyond the largest double
        found = math.nan
    require(math.isfinite(found) or (infinite and found == math.inf), name, value, rule)
    return found


def whole(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """Return a whole number of Python or numpy between ``least`` and ``most`` as an int.

    Raises:
        InvalidValue: no such number (True and False are none).
    """
    sound = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and least <= value <= most
    bound = f"of at least {least}" if most == math.inf else f"from {least} to {most:,.0f}"
    require(bool(sound), name, value, f"must be a whole number {bound}")
    return int(value)


def positive(name: str, value: Any, smallest: float = SMALLEST, largest: float = LARGEST) -> float:
    """Return a number between ``smallest`` and ``largest`` as a float.

    Raises:
        InvalidValue: no such number.
    """
    rule = "must be finite and above 0"
    found = number(name, value, rule)
    require(found > 0, name, value, rule)
    require(smallest <= found <= largest, name, value, f"must be between {smallest:g} and {largest:g}")
    return found
