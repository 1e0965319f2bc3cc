"""``data.lock``: data and weights of other authors, pinned by version and SHA-256."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lmodp.errors import InvalidValue, nearest

LOCK = Path(__file__).resolve().parent / "data.lock"


@dataclass(frozen=True)
class LockedPackage:
    """One file to fetch, and which of its members are used."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    holds: str
    members: tuple[str, ...]
    archive: str | None = None

    def folder(self, cache_root: Path) -> Path:
        """The folder of the unpacked members."""
        return cache_root / "packages" / f"{self.name}-{self.version}"


@cache
def locked_packages(path: Path = LOCK) -> dict[str, LockedPackage]:
    """Return the packages of ``data.lock`` by name."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["package"]
    return {entry["name"]: LockedPackage(**{**entry, "members": tuple(entry["members"])}) for entry in entries}


def locked_package(name: str) -> LockedPackage:
    """Return one package of ``data.lock``; raise `InvalidValue` if it is not listed."""
    packages = locked_packages()
    if name not in packages:
        raise InvalidValue(f"package = {name!r}: is not in data.lock. {nearest(name, packages)}")
    return packages[name]
