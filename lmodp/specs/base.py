"""The base of all specs: a frozen value with a JSON form, and with what of it decides an id."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from lmodp.data.cards import DatasetCard, card_of
from lmodp.records.record import short_hash

LATER = {"later": True}  # metadata of a field that does not enter the hash at its default
OPTIONAL = {**LATER, "optional": True}  # of one that a record does not have at its default either; these come last


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of all specs: a frozen value with a JSON form."""

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, in the order of its fields, without optional ones at their defaults."""
        values = ((name, getattr(self, name)) for name in self._kept("optional"))
        return {name: value.to_dict() if isinstance(value, Spec) else value for name, value in values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the spec written by `to_dict`; keys that are no fields are left out (a run's repetition)."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def identity(self) -> dict[str, Any]:
        """Return what enters the hash: all fields but later ones at their defaults."""
        values = ((name, getattr(self, name)) for name in self._kept("later"))
        return {name: value.identity() if isinstance(value, Spec) else value for name, value in values}

    def _kept(self, mark: str) -> list[str]:
        """The names of all fields but marked ones at their defaults, optional ones last."""
        named = sorted(fields(self), key=lambda item: "optional" in item.metadata)
        return [item.name for item in named if mark not in item.metadata or getattr(self, item.name) != item.default]

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


class OfTarget:
    """What has a privacy target; ``calibration`` is None without one."""

    calibration: str | None

    @property
    def epsilon_scope(self) -> str | None:
        """What ``epsilon`` is of: a claimed one of one "step", a verified one of the whole "run"."""
        return {"claimed": "step", "verified": "run"}.get(self.calibration or "")


def label(experiment: str, method: str, calibration: str | None, epsilon: float | None) -> str:
    """Return the readable part of an id."""
    parts = [experiment, method, calibration, None if epsilon is None else f"e{epsilon:g}"]
    return "-".join(part for part in parts if part)
