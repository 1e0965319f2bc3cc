"""Noise from its JSON form; every fault gives a message with name, value, rule and remedy."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from lmodp.errors import Fault, InvalidValue, nearest, require
from lmodp.mechanisms.mixture import LaplaceMixture
from lmodp.mechanisms.noise import Noise, require_record
from lmodp.mechanisms.parts import PARTS, RatePart


def noise_from_dict(values: Mapping[str, Any]) -> Noise:
    """Return the noise written by `Noise.to_dict`.

    Args:
        values: ``{"family": "gaussian", "std": ...}``, ``{"family": "laplace", "scale": ...}`` or
            ``{"family": "laplace_mixture", "rate": {part: {"weight": ..., ...}}}`` with the parts
            gamma (shape, scale), truncated_normal (mean, std, low, high), exponential (rate) and
            uniform (low, high); or one of `GaussianMixture`, `Histogram` and `Spherical`, or a law of one's own, with
            their fields.

    Raises:
        InvalidValue: an unknown or missing key, or a value outside its range.
    """
    _mapping("noise", values)
    family = str(values.get("family"))
    remedy = f"{nearest(family, Noise.laws)} A family of your own needs its file: --methods-folder=DIR, or import it."
    if family in Noise.refused and family not in Noise.laws:
        raise InvalidValue(Noise.refused[family])
    require(family in Noise.laws, "family", values.get("family"), "is not a noise family", remedy)
    if family == LaplaceMixture.family:
        _keys("noise", values, known=("family", "rate"), required=("rate",))
        return _mixture(values["rate"])
    law: type[Any] = Noise.laws[family]
    require_record(law)
    keys = tuple(field.name for field in fields(law))
    _keys("noise", values, known=("family", *keys), required=keys)
    read: Noise = law(**{key: _hashable(key, values[key]) for key in keys})
    return read


def _hashable(key: str, value: Any) -> Any:
    require(not isinstance(value, Mapping), key, value, "must be a number or a list of numbers")
    return tuple(value) if isinstance(value, list) else value


def released(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says is released, as a spec's ``plan`` takes it: ``noise``, read, and ``releases``."""
    law = record["noise"]
    return {"noise": noise_from_dict(law) if law else None, "releases": record.get("releases")}


def _mixture(rate: Mapping[str, Any]) -> LaplaceMixture:
    _mapping("rate", rate)
    _keys("rate", rate, known=tuple(PARTS), required=())
    parts: dict[str, Any] = {key: _part(PARTS[key], part) for key, part in rate.items()}
    return LaplaceMixture(**parts)


def _part(kind: type[RatePart], values: Mapping[str, Any]) -> RatePart:
    name = f"rate.{kind.key}"
    _mapping(name, values)
    known = tuple(field.name for field in fields(kind))
    required = tuple(field.name for field in fields(kind) if field.default is MISSING)
    _keys(name, values, known=known, required=required)
    return kind(**values)


def _mapping(name: str, values: Any) -> None:
    require(isinstance(values, Mapping), name, values, "must be a table of keys and values")


def _keys(name: str, values: Mapping[str, Any], *, known: tuple[str, ...], required: tuple[str, ...]) -> None:
    for key in values:
        require(key in known, f"{name}.{key}", values[key], "is not a known key", nearest(str(key), known))
    missing = [key for key in required if key not in values]
    if missing:
        raise InvalidValue(str(Fault(name, dict(values), f"lacks {', '.join(missing)}", f"Add {missing[0]!r}.")))
