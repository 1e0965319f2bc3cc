"""The base of all specs: a frozen value with a JSON form, and with what of it decides an id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

from lmodp.data.cards import DatasetCard, card_of
from lmodp.records.record import short_hash

LATER = {"later": True}  # metadata of a field that does not enter the hash at its default
OPTIONAL = {**LATER, "optional": True}  # of one that a record does not have at its default either


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of all specs: a frozen value with a JSON form."""

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, in the order of its fields, without optional ones at their defaults."""
        kept = (item for item in fields(self) if not (item.metadata.get("optional") and _is_default(self, item)))
        return {item.name: _plain(getattr(self, item.name)) for item in kept}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the spec written by `to_dict`; keys that are no fields are left out (a run's repetition)."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def identity(self) -> dict[str, Any]:
        """Return what enters the hash: all fields but later ones at their defaults."""
        kept = (item for item in fields(self) if not (item.metadata.get("later") and _is_default(self, item)))
        return {item.name: _identity(getattr(self, item.name)) for item in kept}

    @property
    def digits(self) -> str:
        """Eight hexadecimal digits that identify the spec."""
        return short_hash(self.identity())


class OfDataset:
    """What is made for one data set.

    ``dataset`` is its name; ``own_data`` is what was counted in a user's own data (`lmodp.data.own.identity_of`), and
    None for a data set that the suite knows.
    """

    dataset: str
    own_data: Mapping[str, Any] | None

    @property
    def card(self) -> DatasetCard:
        """The facts about the data set."""
        return card_of(self.dataset, self.own_data)


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Spec) else value


def _identity(value: Any) -> Any:
    return value.identity() if isinstance(value, Spec) else value


def _is_default(spec: Spec, item: Any) -> bool:
    return item.default is not MISSING and bool(getattr(spec, item.name) == item.default)


def scope_of(calibration: str | None) -> str | None:
    """Return what a target epsilon is of: a claimed one of one step, a verified one of the whole run."""
    return {"claimed": "step", "verified": "run"}.get(calibration or "")


def label(experiment: str, method: str, calibration: str | None, epsilon: float | None) -> str:
    """Return the readable part of an id."""
    parts = [experiment, method, calibration, None if epsilon is None else f"e{epsilon:g}"]
    return "-".join(part for part in parts if part)
