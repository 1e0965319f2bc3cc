"""What a step releases and how the steps of a run hang together: plain data that every room reads.

A `Releases` has four parts: what a step releases, how the noise of its steps is correlated, how the clip norm is set,
and how a schedule changes the steps. Each part is a frozen value with a JSON form and says what the accountants need;
`lmodp.training.releases` holds what the engine does for it. A part at its default is not written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Self

import numpy as np

from lmodp.errors import Fault, InvalidValue, require, require_known
from lmodp.mechanisms.noise import number, positive, whole

Pieces = tuple[tuple[int, float], ...]  # (first step, factor), ascending from step 0
CONSTANT: Pieces = ((0, 1.0),)
_UNIT = 2e-15  # coefficients of a norm so little below 1 are kept as they are
_ON_CIRCLE = 1e-6  # so far within it a root counts as on the unit circle, where noise does not grow by a factor


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of `Releases`: its ``kind`` names it in records."""

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, self._checked(item.name, _frozen(getattr(self, item.name))))

    def _checked(self, name: str, value: Any) -> Any:
        """Return the value of a field as it is kept.

        Raises:
            InvalidValue: a value of another type or outside its range.
        """
        return value

    @property
    def told(self) -> str:
        """What is special of it, in a few words for tables; empty for a default."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return the part as plain JSON values."""
        return {"kind": self.kind, **{name: _plain(value) for name, value in asdict(self).items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the part that `to_dict` wrote, of this class or of one derived from it.

        Raises:
            InvalidValue: an unknown kind or key.
        """
        require(isinstance(values, Mapping), "releases", values, "has a part that is no table of keys and values")
        kinds = {found.kind: found for found in (cls, *_descendants(cls)) if found.kind}
        kind = str(values.get("kind"))
        require_known("kind", kind, kinds)
        given = {key: value for key, value in values.items() if key != "kind"}
        unknown = set(given) - {item.name for item in fields(kinds[kind])}
        require(not unknown, kind, sorted(unknown), "has keys that are not known")
        found: Self = kinds[kind](**given)
        return found


def _descendants(kind: type[Part]) -> list[type[Any]]:
    return [found for child in kind.__subclasses__() for found in (child, *_descendants(child))]


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, kw_only=True)
class Gradient(Part):
    """A step releases the sum of clipped gradients: as many numbers as weights are trained."""

    kind: ClassVar[str] = "gradient"

    @property
    def dimension(self) -> int | None:
        """Numbers released; None for as many as are trained."""
        return None

    @property
    def forward_passes(self) -> int | None:
        """Forward passes that a step takes without a backward pass; None where it takes both."""
        return None


@dataclass(frozen=True, kw_only=True)
class Differences(Gradient):
    """A step releases K sums of loss differences along public random directions (zeroth order).

    Each example's K differences are clipped together, as one vector.

    Args:
        directions: K >= 1.
        smoothing: mu > 0; a difference is (loss(w + mu z) - loss(w - mu z)) / (2 mu), z standard normal.

    References:
        Tang et al., arXiv 2401.04343; Zhang et al., arXiv 2310.09639 (one number); DP-AggZO (a vector).
    """

    kind: ClassVar[str] = "differences"
    directions: int = 1
    smoothing: float = 1e-3

    def _checked(self, name: str, value: Any) -> Any:
        return whole(name, value) if name == "directions" else positive(name, value)

    @property
    def told(self) -> str:
        """How many numbers a step releases."""
        return f"a step releases {self.directions} sums of loss differences"

    @property
    def dimension(self) -> int | None:
        """K."""
        return self.directions

    @property
    def forward_passes(self) -> int | None:
        """2K."""
        return 2 * self.directions


@dataclass(frozen=True, kw_only=True)
class Moments(Gradient):
    """A step releases the second moments of frozen features and their products with the labels (least squares).

    With f an example's features and a constant, of norm 1, and y its one-hot label, it adds the vector
    (f f^T, f y^T) / sqrt(2) clip norms; of the symmetric f f^T each pair of entries is one number, times sqrt(2). So
    its norm is the clip norm.

    References:
        Mehta et al., arXiv 2211.13403 (DP-LS).
    """

    kind: ClassVar[str] = "moments"

    @property
    def told(self) -> str:
        """What a step releases."""
        return "a step releases second moments of features"

    @property
    def forward_passes(self) -> int | None:
        """One."""
        return 1


@dataclass(frozen=True, kw_only=True)
class Independent(Part):
    """Each step has noise of its own, and every example is sampled at every step."""

    kind: ClassVar[str] = "independent"
    sampler: ClassVar[str] = "poisson"

    @property
    def bands(self) -> int:
        """Steps that one participation of an example touches."""
        return 1


@dataclass(frozen=True, kw_only=True)
class Banded(Independent):
    """Noise that is correlated over b steps, and sampling in b groups that take turns (DP-BandMF).

    The noise of a run is C^-1 Z, with C lower triangular and Toeplitz and Z independent. Every example belongs to one
    of b groups, drawn for it alone; group t mod b is sampled at step t at b times the rate. A participation
    adds (c_0 g, ..., c_(b-1) g) to b rows of C G + Z that no other participation of the example touches: one shift of
    norm at most C, in a release of b times the dimension. So T steps at rate q lose what ceil(T/b) steps at
    rate b q lose, whatever the law of Z.

    Args:
        coefficients: c_0 ... c_(b-1), the first above 0; they are kept divided by their norm, at which the noise is
            least. Refused if C^-1 grows from step to step (a root of c_0 + c_1 x + ... lies within the unit circle).

    References:
        Choquette-Choo et al., arXiv 2306.08153.
    """

    kind: ClassVar[str] = "banded"
    sampler: ClassVar[str] = "cyclic_poisson"
    coefficients: tuple[float, ...] = (1.0,)

    def _checked(self, name: str, value: Any) -> Any:
        remedy = "Write a list of numbers, or Banded.square_root(8)."
        require(isinstance(value, tuple), name, value, "must be a list of numbers", remedy)
        found = [number(name, each) for each in value]
        require(bool(found) and found[0] > 0, name, value, "must be one or more, the first above 0", remedy)
        falls = all(here >= after >= 0 for here, after in pairwise(found))  # then no root lies within: Enestrom-Kakeya
        least = 1.0 if falls else min(abs(np.roots(found[::-1])), default=1.0)
        rule = f"make noise that grows by {1 / least:.4g} a step: c_0 + c_1 x + ... has a root within the unit circle"
        require(least > 1 - _ON_CIRCLE, name, value, rule, "Take coefficients that fall, as Banded.square_root(8) has.")
        norm = math.hypot(*found)
        return tuple(found) if 1 - _UNIT <= norm <= 1 else tuple(c / (norm * (1 + _UNIT / 2)) for c in found)

    @property
    def told(self) -> str:
        """How steps hang together."""
        return f"noise is correlated over {self.bands} steps, and as many groups of examples take turns"

    @property
    def bands(self) -> int:
        """b."""
        return len(self.coefficients)

    @classmethod
    def square_root(cls, bands: int) -> Banded:
        """Return the first coefficients of the square root of the matrix of prefix sums, scaled to norm 1."""
        terms = range(1, whole("bands", bands))
        return cls(coefficients=tuple(accumulate(terms, lambda c, k: c * (2 * k - 1) / (2 * k), initial=1.0)))

    def prefix_error(self, steps: int) -> float:
        """Return the root mean square of the noise in prefix sums over ``steps`` steps, for Z of unit variance."""
        inverse: list[float] = []
        for step in range(steps):
            known = zip(self.coefficients[1 : step + 1], reversed(inverse), strict=False)
            inverse.append(((step == 0) - sum(c * x for c, x in known)) / self.coefficients[0])
        variances = accumulate(value**2 for value in accumulate(inverse))
        return math.sqrt(sum(variances) / steps)


@dataclass(frozen=True, kw_only=True)
class Fixed(Part):
    """The clip norm is the plan's at every step."""

    kind: ClassVar[str] = "fixed"

    @property
    def share(self) -> float:
        """Length of what a step releases beside the sum, for one example and in clip norms."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Quantile(Fixed):
    """The clip norm follows a private quantile of the norms: a step also releases a noisy count.

    An example adds +1 to the count if its norm is within the clip norm, and -1 if not. The count, times ``share``
    clip norms, is one more coordinate of the released vector, whose sensitivity is then sqrt(1 + share^2) clip norms.
    The next clip norm is this one times exp(-rate (fraction - quantile)), with the noisy fraction within it.

    Args:
        quantile: aimed at, in (0, 1).
        rate: of the updates, above 0.
        share: above 0. The noise of the fraction has noise_multiplier / (2 share B) as standard deviation; the
            gradient's grows by sqrt(1 + share^2).

    References:
        Andrew et al., arXiv 1905.03871 (Theorem 1 is this for Gaussian noise).
    """

    kind: ClassVar[str] = "quantile"
    quantile: float = 0.5
    rate: float = 0.2
    share: float = 0.1

    @property
    def told(self) -> str:
        """What is released beside the sum."""
        return "a step releases a noisy count beside the sum"

    def _checked(self, name: str, value: Any) -> Any:
        found = positive(name, value)
        require(name != "quantile" or found < 1, name, value, "must be in (0, 1)")
        return found


@dataclass(frozen=True, kw_only=True)
class Schedule(Part):
    """How steps differ, known in advance: factors from a step on, counted from 0.

    Args:
        noise: of the noise relative to the clip norm.
        clip_norm, batch, learning_rate: of the plan's clip norm, expected batch size and learning rate.
    """

    kind: ClassVar[str] = "schedule"
    noise: Pieces = CONSTANT
    clip_norm: Pieces = CONSTANT
    batch: Pieces = CONSTANT
    learning_rate: Pieces = CONSTANT

    def _checked(self, name: str, value: Any) -> Any:
        remedy = "Write pairs (first step, factor), for example ((0, 1.5), (100, 1.0))."
        pairs = isinstance(value, tuple) and all(isinstance(each, tuple) and len(each) == 2 for each in value)
        require(pairs and len(value) > 0, name, value, "must be pairs of a step and a factor", remedy)
        steps = [whole(f"{name}: step", first, 0) for first, _ in value]
        ordered = steps == sorted(set(steps)) and steps[0] == 0
        require(ordered, name, value, "must give factors at ascending steps, the first at step 0", remedy)
        return tuple(zip(steps, (positive(f"{name}: factor", factor) for _, factor in value), strict=True))

    @property
    def told(self) -> str:
        """That steps change, if they do."""
        return "" if self == Schedule() else "steps change by a schedule"

    def at(self, name: str, step: int) -> float:
        """Return the factor of ``name`` at a step."""
        pieces: Pieces = getattr(self, name)
        return next(factor for first, factor in reversed(pieces) if first <= step)

    @property
    def starts(self) -> list[int]:
        """Steps at which something that a certificate depends on may change."""
        return sorted({first for first, _ in (*self.noise, *self.batch)})


@dataclass(frozen=True, kw_only=True)
class Releases:
    """What the steps of a run release; see the module.

    Args:
        step: what one step releases.
        correlation: of the noise of different steps, with the sampler that goes with it.
        clip: how the clip norm is set.
        schedule: how steps differ.

    Raises:
        InvalidValue: parts that do not go together.
    """

    step: Gradient = field(default_factory=Gradient)
    correlation: Independent = field(default_factory=Independent)
    clip: Fixed = field(default_factory=Fixed)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        for name, kind in PARTS.items():
            value, known = getattr(self, name), [each.__name__ for each in (kind, *_descendants(kind))]
            rule = f"must be a value of {' or '.join(known)} of lmodp.mechanisms"
            require(isinstance(value, kind), name, value, rule, f"For example Releases({name}={known[-1]}(...)).")
        if self.correlation.bands > 1 and (self.clip != Fixed() or self.schedule != Schedule()):
            rule = "correlates the noise of steps, which must then be alike"
            raise InvalidValue(str(Fault("correlation", self.correlation.kind, rule, "Leave out clip and schedule.")))

    @property
    def dimension(self) -> int | None:
        """Coordinates of the vector that one participation of an example shifts; None for many."""
        inner = self.step.dimension
        return None if inner is None else (inner + (self.clip.share > 0)) * self.correlation.bands

    @property
    def sensitivity(self) -> float:
        """L2 sensitivity of what a step releases, in clip norms."""
        return math.hypot(1.0, self.clip.share)

    @property
    def per_step(self) -> int:
        """Noisy vectors that a step releases."""
        return 1 + (self.clip.share > 0)

    @property
    def told(self) -> str:
        """What differs from one independent noisy sum of gradients a step, in words; empty if nothing does."""
        return "; ".join(filter(None, (self.step.told, self.correlation.told, self.clip.told, self.schedule.told)))

    def to_dict(self) -> dict[str, Any]:
        """Return the parts that are not at their default, as plain JSON values."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: part.to_dict() for name, part in parts.items() if part != getattr(DEFAULT, name)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Releases:
        """Return the releases that `to_dict` wrote; None for the default."""
        for name in values or {}:
            require_known("releases", name, PARTS, "is not a part")
        parts: dict[str, Any] = {name: PARTS[name].from_dict(part) for name, part in (values or {}).items()}
        return cls(**parts)


PARTS: dict[str, type[Part]] = {"step": Gradient, "correlation": Independent, "clip": Fixed, "schedule": Schedule}
DEFAULT = Releases()
