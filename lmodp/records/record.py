"""Records: small JSON files that say what was found, and what made it.

All fields are declared in `lmodp.records.fields`, and checked when a record is written and when it is read. A record
has at least those of `REQUIRED`. By its hash (`content_hash`) of all but who made it, a changed digit is noticed.

The repetitions of a cell are lines of one ``.jsonl`` file. Its first line is the stage's own record; this record
lists the runs, each with the hash of its line, so that a missing or changed line is found.

No record holds a time of day, a host name or a path, so that the same spec gives the same bytes on the same
machine. Wall time and memory go to ``timing.jsonl``, which is no record and is exempt.
"""

import fcntl
import glob
import hashlib
import json
import os
import platform
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

from lmodp import __version__
from lmodp.errors import (
    FOREIGN_ERRORS,
    DamagedFile,
    LmodpError,
    MissingFile,
    Unsupported,
    describe_error,
    may_pass,
    one_line,
)
from lmodp.records.fields import faults
from lmodp.vocabulary import STATUSES

SCHEMA_VERSION = 2
REQUIRED = ("schema_version", "stage", "sha256", "created_by", "inputs", "status", "reason")
UNHASHED = ("created_by", "sha256")  # the same content made by other code is the same content
LINE = 120  # characters


def make_record(
    stage: str,
    content: Mapping[str, Any],
    *,
    code: str,
    packages: Iterable[str] = (),
    inputs: Mapping[str, str] | None = None,
    status: str = "done",
    reason: str | None = None,
) -> dict[str, Any]:
    """Return the record of a stage from its own fields, its code's fingerprint and the hashes of its inputs.

    ``packages`` are distributions whose versions can change the result; every status but ``done`` has a reason.
    """
    if status not in STATUSES or (status != "done" and not reason):
        raise ValueError(f"status = {status!r}: must be one of {STATUSES}, and all but done needs a reason")
    return declared(
        stage,
        {
            "schema_version": SCHEMA_VERSION,
            "stage": stage,
            "sha256": "",
            "created_by": {"code": code, "versions": versions(packages)},
            "inputs": dict(sorted((inputs or {}).items())),
            "status": status,
            "reason": reason,
            **content,
        },
    )


def declared(stage: str, values: Mapping[str, Any], *, line: bool = False) -> dict[str, Any]:
    """Return a record, or a run's line, sealed; one that is not as declared is a fault of the suite."""
    values = plain(values)
    if wrong := faults(stage, values, line=line):
        raise ValueError(
            f"{'line' if line else 'record'} of {stage}: {'; '.join(wrong)}. See lmodp/records/fields.yaml"
        )
    return sealed(values)


def failed(error: BaseException, reason: str | None = None) -> dict[str, Any]:
    """Return status and reason of a failure; ``retry`` where its cause may go away, see `lmodp.errors.may_pass`."""
    why = {"status": "failed", "reason": reason or str(error)}
    return {**why, "retry": True} if may_pass(error) else why


def answered(nothing: Mapping[str, Any], work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return what ``work`` answers; where it raises, ``nothing`` with the status of one cell, so that a grid goes on.

    Methods and noises may come from a user, and numbers from the far ends of arithmetic.
    """
    try:
        return dict(work())
    except Unsupported as error:
        return {**nothing, "status": "skipped", "reason": str(error)}
    except FOREIGN_ERRORS as error:
        return {**nothing, **failed(error, str(error) if isinstance(error, LmodpError) else describe_error(error))}


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record, or a run's line, with the hash of its content; its reason is one line, as tables show it."""
    if isinstance(values.get("reason"), str):
        values = {**values, "reason": one_line(values["reason"])}
    if isinstance(values.get("created_by"), Mapping):
        values = {**values, "created_by": _with_hash(values["created_by"])}
    return {**values, "sha256": content_hash(values)}


def _with_hash(created_by: Mapping[str, Any]) -> dict[str, Any]:
    """Return who made a record, with a hash of its own: it is outside the record's, and must not change unseen."""
    facts = {name: value for name, value in created_by.items() if name != "sha256"}
    return {**facts, "sha256": short_hash(facts)}


def is_as_written(values: Mapping[str, Any]) -> bool:
    """Whether the content of a record, of a run's line or of a file of `write_sealed` has the hashes it was given."""
    made = values.get("created_by")
    if isinstance(made, Mapping) and made != _with_hash(made):
        return False
    return bool(values.get("sha256") == content_hash(values))


def write_sealed(path: Path | str, values: Mapping[str, Any]) -> None:
    """Write JSON with the hash of its content, for a file of the cache that is read again."""
    write_json(path, sealed(plain(values)))


def read_sealed(path: Path | str) -> dict[str, Any]:
    """Return what `write_sealed` wrote; raise as `read_json`, and where it is not what was written."""
    found = read_json(path)
    if not isinstance(found, dict) or not is_as_written(found):
        raise DamagedFile(f"file = {str(path)!r}: has changed since it was written. Its stage makes it anew.")
    return found


def content_hash(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record's content as JSON with sorted keys, the fields of `UNHASHED` left out."""
    content = {name: value for name, value in values.items() if name not in UNHASHED}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the suite, of Python and of the named distributions."""
    own = {"lmodp": __version__, "python": platform.python_version()}
    return {**own, **{name: _version(name) for name in sorted(packages)}}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON so that the file is either complete or not there; NaN and infinities are refused."""
    # half a surrogate pair is \\udxxx in JSON too
    write_bytes(path, json_text(value).encode(errors="backslashreplace"))


def json_text(value: Any) -> str:
    """Return JSON for people and for git: what fits on a line stands on one, lists of numbers fill lines.

    With every number on a line of its own, the hundreds of steps of a run are mostly line ends.
    """
    return _json_lines(plain(value), depth=0, taken=0) + "\n"


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


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a file that takes its place when it is complete and on disk. What killed writers left of it is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    delete_left(path)
    handle, temporary = _begun(path)
    with os.fdopen(handle, "wb") as stream:
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _begun(path: Path) -> tuple[int, str]:
    """Return a new file, with a lock for as long as its writer lives."""
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, temporary
        os.close(handle)  # another writer deleted it before it had its lock


def delete_left(path: Path) -> None:
    """Delete what killed writers of a file left beside it. A file that is being written has a lock and stays."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with suppress(OSError), left.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file atomically (`replacing`)."""
    with replacing(Path(path)) as stream:
        stream.write(data)


def read_json(path: Path | str) -> Any:
    """Return a JSON file's content.

    Raises:
        MissingFile: there is no such file.
        DamagedFile: it is not JSON.
    """
    return _parsed(Path(path), json.loads)


def _parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFile(
            f"file = {str(path)!r}: is not there. Run the stage that makes it, or check the name."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DamagedFile(
            f"file = {str(path)!r}: is not valid JSON ({error}). Fetch or repair it; if a stage of the suite wrote it, "
            "remove it, and the stage writes it again."
        ) from None


def read_record(path: Path | str) -> dict[str, Any]:
    """Return a record after checking its fields and its hash; of a ``.jsonl`` file the first line.

    Raises:
        MissingFile, DamagedFile: as `read_json`; or it is of another schema version, or not what was written.
    """
    path = Path(path)
    found = _lines(path)[0] if path.suffix == ".jsonl" else read_json(path)
    record: dict[str, Any] = found if isinstance(found, dict) else {}
    missing = [name for name in REQUIRED if name not in record]
    if record.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise DamagedFile(
            f"record = {str(path)!r}: has schema_version {record['schema_version']}, this suite reads "
            f"{SCHEMA_VERSION}. Use the suite's version that wrote it, or run the grid again."
        )
    if missing:
        raise DamagedFile(f"record = {str(path)!r}: lacks {', '.join(missing)}. It is not a record of this suite.")
    _check_form(path, record["stage"], record)
    if not is_as_written(record):
        raise DamagedFile(
            f"record = {str(path)!r}: has changed since it was written. Delete it; its stage makes it anew."
        )
    return record


def _check_form(path: Path, stage: Any, values: Mapping[str, Any], *, line: bool = False) -> None:
    """Raise `DamagedFile` if a field has a type that no stage writes; fields of a later version are let through."""
    wrong = faults(stage, values, line=line, undeclared=False) if isinstance(stage, str) else ["stage is no text"]
    if wrong:
        raise DamagedFile(
            f"record = {str(path)!r}: {wrong[0]}. It is not a record of this suite. Delete it; its stage makes it anew."
        )


def read_runs(path: Path | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the record of a ``.jsonl`` file and the lines of its runs, in the record's order.

    Raises:
        MissingFile, DamagedFile: as `read_record`; or a run that the record lists is missing or has changed.
    """
    record, lines = read_record(path), _lines(Path(path))[1:]
    by_run = {line.get("run"): line for line in lines if isinstance(line, dict)}
    entries = [(entry.get("run"), entry.get("sha256")) for entry in record.get("runs", [])]
    for run, sha256 in entries:
        line = by_run.get(run)
        if line is None:
            raise DamagedFile(f"record = {str(path)!r}: lacks the run {run}, which its first line lists.")
        _check_form(Path(path), record["stage"], line, line=True)
        if line.get("sha256") != sha256 or not is_as_written(line):
            raise DamagedFile(f"record = {str(path)!r}: the run {run} has changed since it was written.")
    return record, [by_run[run] for run, _ in entries]


def write_runs(path: Path | str, record: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> None:
    """Write a record and the sealed lines of its runs as one ``.jsonl`` file."""
    write_bytes(path, "".join(_dumps(item) + "\n" for item in [record, *lines]).encode(errors="backslashreplace"))


def run_entry(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stage's record says of a run: its id, status, reason and the hash of its line."""
    return {name: line[name] for name in ("run", "status", "reason", "sha256")}


def _lines(path: Path) -> list[Any]:
    # not splitlines: a text within JSON may hold other characters that end lines, such as U+2028
    values: list[Any] = _parsed(path, lambda text: [json.loads(line) for line in text.split("\n") if line])
    if not values:
        raise DamagedFile(f"file = {str(path)!r}: is empty. Delete it; its stage makes it anew.")
    return values


def plain(value: Any) -> Any:
    """Return the value as it would be read back from JSON (tuples become lists)."""
    return json.loads(_dumps(value))


def input_hash(path: Path | str) -> str:
    """Return what a record remembers of an input: the hash of a record's content, of another file its SHA-256."""
    path = Path(path)
    if path.suffix in (".json", ".jsonl"):
        try:
            return str(read_record(path)["sha256"])
        except DamagedFile:
            pass  # JSON that is no record, such as a fetched package's list
    return sha256_file(path)


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
