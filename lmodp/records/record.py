"""Records: small JSON files that say what was found, and what made it.

Every record is an object with at least

- ``schema_version``: changes when the meaning of a field changes;
- ``kind``: which stage wrote it, for example ``certificate``;
- ``created_by``: rule, code fingerprint, suite and package versions;
- ``inputs``: SHA-256 of every file it was computed from;
- ``status``: ``done``, ``skipped``, ``failed`` or ``diverged``, and ``reason``.

No record holds a time of day, a host name or a path, so that the same spec gives
the same bytes on the same machine. Wall time, memory and device go to
``timing.json``, which is no record and is exempt.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lmodp import __version__
from lmodp.errors import DamagedFile, MissingFile
from lmodp.vocabulary import STATUSES

SCHEMA_VERSION = 1
REQUIRED = ("schema_version", "kind", "created_by", "inputs", "status", "reason")
LINE = 120  # characters


def make_record(
    kind: str,
    content: Mapping[str, Any],
    *,
    code: str,
    packages: Iterable[str] = (),
    inputs: Mapping[str, str] | None = None,
    status: str = "done",
    reason: str | None = None,
) -> dict[str, Any]:
    """Return a record with its provenance.

    Args:
        kind: name of the stage, which is also the name of rule and function.
        content: the stage's own fields.
        code: fingerprint of the package files that the stage uses.
        packages: distributions whose versions can change the result.
        inputs: SHA-256 by name, from `input_hashes`.
        status: one of `STATUSES`.
        reason: why, for every status but ``done``.
    """
    if status not in STATUSES:
        raise ValueError(f"status = {status!r}: must be one of {STATUSES}")
    if status != "done" and not reason:
        raise ValueError(f"a record with status {status!r} needs a reason")
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "created_by": {"rule": kind, "code": code, "versions": versions(packages)},
        "inputs": dict(sorted((inputs or {}).items())),
        "status": status,
        "reason": reason,
        **content,
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the suite, of Python and of the named distributions."""
    found = {"lmodp": __version__, "python": platform.python_version()}
    for name in sorted(packages):
        found[name] = _version(name)
    return found


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON so that the file is either complete or not there.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON cannot say.
    """
    write_bytes(path, json_text(value).encode())


def json_text(value: Any) -> str:
    """Return JSON for people and for git: what fits on a line stands on one, lists of numbers fill lines.

    With every number on a line of its own, the hundreds of steps of a run are mostly line ends.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON cannot say.
    """
    return _json_lines(_plain(value), depth=0, taken=0) + "\n"


def _json_lines(value: Any, *, depth: int, taken: int) -> str:
    """JSON of a plain value at a depth of nesting, ``taken`` characters of its first line being used already."""
    line = _dumps(value)
    if taken + len(line) <= LINE or not value or not isinstance(value, (dict, list)):
        return line
    inner, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict):
        named = {f"{_dumps(key)}: ": item for key, item in value.items()}
        items = (name + _json_lines(item, depth=depth + 1, taken=depth + 2 + len(name)) for name, item in named.items())
        return "{" + inner + f",{inner}".join(items) + end + "}"
    if any(isinstance(item, (dict, list, str)) for item in value):
        items = (_json_lines(item, depth=depth + 1, taken=depth + 2) for item in value)
        return "[" + inner + f",{inner}".join(items) + end + "]"
    margin = " " * (depth + 1)
    return "[\n" + textwrap.fill(line[1:-1], LINE, initial_indent=margin, subsequent_indent=margin) + end + "]"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file atomically: into a temporary name, to disk, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path | str) -> Any:
    """Return a JSON file's content.

    Raises:
        MissingFile: there is no such file.
        DamagedFile: it is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFile(
            f"file = {str(path)!r}: is not there. Run the stage that makes it, or check the name."
        ) from None
    except ValueError as error:
        raise DamagedFile(
            f"file = {str(path)!r}: is not valid JSON ({error}). Delete it; its stage writes it again."
        ) from None


def read_record(path: Path | str) -> dict[str, Any]:
    """Return a record after checking that it has the fields of every record.

    Raises:
        MissingFile, DamagedFile: as `read_json`, or a field is missing, or the
            record was written under another schema version.
    """
    record = read_json(path)
    missing = [name for name in REQUIRED if not isinstance(record, dict) or name not in record]
    if missing:
        raise DamagedFile(f"record = {str(path)!r}: lacks {', '.join(missing)}. It is not a record of this suite.")
    if record["schema_version"] != SCHEMA_VERSION:
        raise DamagedFile(
            f"record = {str(path)!r}: has schema_version {record['schema_version']}, this suite reads {SCHEMA_VERSION}. "
            "Use the suite's version that wrote it, or run the grid again."
        )
    return record


def is_current(
    path: Path | str, *, code: str | None, inputs: Mapping[str, str], content: Mapping[str, Any] | None = None
) -> bool:
    """Whether a record was made by the same code from the same inputs (and spec).

    ``code`` None takes any code. A damaged or missing record is simply not current. ``content`` names fields
    that must be equal, for example ``{"spec": spec}``.
    """
    try:
        record = read_record(path)
    except (MissingFile, DamagedFile):
        return False
    same = code in (None, record["created_by"].get("code")) and record["inputs"] == dict(inputs)
    return same and all(record.get(name) == _plain(value) for name, value in (content or {}).items())


def _plain(value: Any) -> Any:
    """The value as it would be read back from JSON (tuples become lists)."""
    return json.loads(_dumps(value))


def input_hashes(files: Mapping[str, Path | str]) -> dict[str, str]:
    """Return the SHA-256 of each named file."""
    return {name: sha256_file(path) for name, path in sorted(files.items())}


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingFile(f"file = {str(path)!r}: is not there. Check the name.") from None


def short_hash(value: Any) -> str:
    """Return eight hexadecimal digits that identify a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
