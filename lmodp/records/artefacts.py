"""Bulky files in the cache: what their bytes were when they were written.

A record says what was made; beside the copy of it in the cache stands the SHA-256 of every file of the folder. A
stage that reads the folder compares them once in a process, so a flipped bit never becomes a result. Bytes of
bulky files may differ between machines, so these hashes stay in the cache.
"""

from functools import cache
from pathlib import Path

from lmodp.errors import LmodpError
from lmodp.records.places import CHECKSUMS, STAMP
from lmodp.records.record import read_json, sha256_file, write_json


def write_checksums(folder: Path) -> None:
    """Remember the bytes of all files of a folder."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names = sorted(name for name in found if name not in (STAMP, CHECKSUMS))
    write_json(folder / CHECKSUMS, {name: sha256_file(folder / name) for name in names})


@cache
def damage(folder: Path) -> str | None:
    """Return what of a folder is not as it was written, or None; asked once in a process.

    Files that are not remembered are let through: libraries write caches of their own beside what they read.
    """
    try:
        known = read_json(folder / CHECKSUMS)
    except LmodpError as error:
        return str(error)
    for name, sha256 in known.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256_file(folder / name) != sha256:
            return f"{name} has changed since it was written"
    return None
