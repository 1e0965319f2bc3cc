"""What is pinned of other authors: ``data.lock`` by version and SHA-256, ``hub.lock`` by commit; no hub library."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from lmodp.errors import InvalidValue, nearest

DATA, HUB = (Path(__file__).resolve().parent / name for name in ("data.lock", "hub.lock"))


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
def locked_packages(path: Path = DATA) -> dict[str, LockedPackage]:
    """Return the packages of ``data.lock`` by name."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["package"]
    return {entry["name"]: LockedPackage(**{**entry, "members": tuple(entry["members"])}) for entry in entries}


def locked_package(name: str) -> LockedPackage:
    """Return one package of ``data.lock``; raise `InvalidValue` if it is not listed."""
    packages = locked_packages()
    if name not in packages:
        raise InvalidValue(f"package = {name!r}: is not in data.lock. {nearest(name, packages)}")
    return packages[name]


@dataclass(frozen=True, kw_only=True)
class HubEntry:
    """A repository of the hub ("dataset" or "model"), by the suite's name for it.

    ``revision`` is the commit that is read, None if none is pinned; ``files`` those of each split (data sets);
    ``sha256`` the checksum of each file, if it is known beforehand.
    """

    kind: str
    name: str
    repository: str
    revision: str | None = None
    gated: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_revision(self) -> str:
        """The first twelve digits of the revision, for messages."""
        return "unpinned" if self.revision is None else self.revision[:12]


@cache
def hub_entries(path: Path = HUB) -> dict[str, HubEntry]:
    """Return the entries of ``hub.lock`` by name."""
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    return {entry["name"]: HubEntry(kind=kind, **entry) for kind in ("dataset", "model") for entry in values[kind]}


def hub_entry(name: str, *, kind: str, revisions: Mapping[str, str] | None = None) -> HubEntry:
    """Return an entry with the revision that is to be read; ``revisions`` of the configuration override the lock.

    Raises:
        InvalidValue: the hub does not offer the data set or model, or no commit is pinned.
    """
    known = {key: entry for key, entry in hub_entries().items() if entry.kind == kind}
    if name not in known:
        raise InvalidValue(f"source = 'hub': {kind} {name!r} is not in hub.lock. {nearest(name, known)}")
    entry = known[name]
    if revisions and name in revisions:
        entry = replace(entry, revision=revisions[name], sha256={})
    if entry.revision is None:
        raise InvalidValue(
            f"hub_revisions.{name} = None: {entry.repository} has no pinned revision. "
            "Give one of its commits (40 hexadecimal digits) under hub_revisions in the configuration."
        )
    if not re.fullmatch(r"[0-9a-f]{40}", entry.revision):
        raise InvalidValue(
            f"hub_revisions.{name} = {entry.revision!r}: must be a commit of 40 hexadecimal digits, "
            "because a branch or tag can change."
        )
    return entry
