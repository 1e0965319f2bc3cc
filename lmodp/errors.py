"""Errors that a user can cause, with messages that say what to do.

Every message has four parts: the name of the thing, its value, the rule that it breaks and the remedy. The command line
prints such a message without a traceback and exits with status 2. Any exception that is not an ``LmodpError`` is a
defect of the suite and keeps its traceback.
"""

import difflib
import errno
import json
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

T = TypeVar("T")
MOST_FAULTS = 20  # of a configuration that are shown


class LmodpError(Exception):
    """Base class of all errors that carry a message for the user."""


class InvalidValue(LmodpError, ValueError):
    """A value breaks a rule, for example a sampling rate above 1."""


class MissingFile(LmodpError, FileNotFoundError):
    """A file that a stage needs does not exist."""


class DamagedFile(LmodpError, ValueError):
    """A file exists, but does not match its checksum or format."""


class MissingPackage(LmodpError, ImportError):
    """An optional package is not installed."""


class MissingDevice(LmodpError):
    """The machine has not what was asked for: a GPU, a node that is large enough."""


class RankLost(LmodpError):
    """One of several processes of a run has ended, and the others with it."""


class Unsupported(LmodpError):
    """The suite has no valid answer for this request."""


@dataclass(frozen=True)
class Fault:
    """One broken rule: ``name = value: rule. remedy``."""

    name: str
    value: object
    rule: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{shortened(self.name)} = {shortened(repr(self.value))}: {shortened(self.rule, 600)}."
        return f"{text} {self.remedy}" if self.remedy else text


def shortened(text: str, most: int = 160) -> str:
    """Return a text of at most about ``most`` characters, which says how long it was if it was longer."""
    return text if len(text) <= most else f"{text[: most - 40]}… ({len(text):,} characters)"


class ConfigError(LmodpError, ValueError):
    """All faults of one configuration, collected before stopping."""

    def __init__(self, source: str, faults: Iterable[Fault]):
        self.source = source
        self.faults = tuple(faults)
        count = len(self.faults)
        head = f"{shortened(source)}: {count} fault{'s' if count != 1 else ''}"
        more = [f"... and {count - MOST_FAULTS} more"] if count > MOST_FAULTS else []
        super().__init__("\n  ".join([head, *map(str, self.faults[:MOST_FAULTS]), *more]))


def parse_json(text: str) -> Any:
    """Return what a user's JSON text holds.

    Raises:
        ValueError: it is not JSON, or a key occurs twice in one table: Python would keep the last one without a word.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"a key occurs twice among {', '.join(name for name, _ in pairs)}")
    return dict(pairs)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for a misspelt name, or the list of known names."""
    known, most = sorted(known), 30
    close = difflib.get_close_matches(str(name)[:200], known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"Known: {', '.join(known[:most])}{more}."


def require(condition: bool, name: str, value: object, rule: str, remedy: str = "") -> None:
    """Raise `InvalidValue` with the four-part message unless ``condition`` holds."""
    if not condition:
        raise InvalidValue(str(Fault(name, value, rule, remedy)))


def require_known(name: str, value: object, known: Collection[str], rule: str = "is not known", more: str = "") -> None:
    """Raise `InvalidValue` with the nearest known name unless ``value`` is one; it is looked for only then."""
    if value not in known:
        raise InvalidValue(str(Fault(name, value, rule, nearest(str(value), known) + more)))


def require_finite(weights: Iterable[tuple[str, Any]]) -> None:
    """Raise `InvalidValue` if one of these named torch tensors, a model's weights, is nan or infinite.

    Every example's gradient would be so too, and be left out.
    """
    for name, value in weights:
        # The sum is finite nearly always and takes a tenth of the time.
        if value.is_floating_point() and not value.sum().isfinite() and not value.isfinite().all():
            found = f"{int((~value.isfinite()).sum())} of {value.numel()} numbers are not finite"
            raise InvalidValue(str(Fault(f"weights {name}", "nan or inf", found, "Fetch or convert the model again.")))


def given(value: T | None, name: str, rule: str, remedy: str = "") -> T:
    """Return ``value``; raise `InvalidValue` with the four-part message if it is None."""
    if value is None:
        raise InvalidValue(str(Fault(name, None, rule, remedy)))
    return value


def missing_extra(error: ModuleNotFoundError) -> MissingPackage | None:
    """Return the message for a package of one of the suite's extras; None for any other package."""
    package = (error.name or "").partition(".")[0]
    for extra, names in _extras().items():
        if package.lower() in names:
            remedy = f"Install it with: pip install 'lmodp[{extra}]'"
            return MissingPackage(str(Fault("package", package, "is needed for this, but is not installed", remedy)))
    return None


def _extras() -> dict[str, set[str]]:
    """Return the packages of each extra in lower case; pyproject.toml has told them to the suite's metadata."""
    try:
        lines = metadata.requires("lmodp") or []
    except metadata.PackageNotFoundError:  # run from its source, without being installed
        return {}
    found: dict[str, set[str]] = {}
    for line in lines:
        parts = re.match(r"([\w-]+).*; extra == ['\"](\w+)['\"]", line)
        if parts and parts[1] != "lmodp":
            found.setdefault(parts[2], set()).add(parts[1].lower())
    return found


# What the code of a method or of another engine may raise; its author is told, and the grid goes on. A plug-in that
# leaves the process (sys.exit) is at fault like any other.
FOREIGN_ERRORS = (Exception, SystemExit)


def one_line(text: str) -> str:
    """Return a text with every run of white space as one space: a cell of a table has one line."""
    return " ".join(text.split())


def describe_error(error: BaseException) -> str:
    """Return an exception in one line: kind, text, and the line of code that raised it."""
    text = one_line(str(error))
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = extract_tb(error.__traceback__)
    return f"{told} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else told


def may_pass(error: BaseException) -> bool:
    """Whether the cause of an error may go away without another spec: files, memory, disk, a package, a machine."""
    return isinstance(error, (OSError, MemoryError, ImportError, DamagedFile, MissingDevice, RankLost))


_DISK = {
    errno.ENOSPC: "Free space on the disk, then start again; what is finished is kept.",
    errno.EDQUOT: "Free space in your quota, then start again; what is finished is kept.",
    errno.EFBIG: "Write to a disk that takes files of this size.",
    errno.EROFS: "Name a folder that can be written.",
    errno.EACCES: "Change its permissions, or name another folder.",
    errno.EPERM: "Change its permissions, or name another folder.",
    errno.ENAMETOOLONG: "Name a shorter path.",
    errno.EIO: "Check the disk.",
}


def _disk_fault(error: BaseException) -> int | None:
    """The number of what a disk or a folder refuses; libraries raise errors of their own that only name it."""
    if isinstance(error, OSError) and error.errno:
        return error.errno if error.errno in _DISK else None
    text = str(error)
    return next((code for code in _DISK if f"os error {code})" in text or os.strerror(code) in text), None)


def message_for_user(error: BaseException) -> str | None:
    """Return what a user can mend as one message; None for a fault of the suite, which keeps its traceback."""
    if isinstance(error, LmodpError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (lacking := missing_extra(error)):
        return str(lacking)
    if code := _disk_fault(error):
        given = getattr(error, "filename", None)
        name = os.fsdecode(given) if isinstance(given, (str, bytes)) else "a file of the results"
        return str(Fault("file", name, os.strerror(code), _DISK[code]))
    if isinstance(error, MemoryError):
        return "memory: is not enough. Run fewer jobs at a time (--cores), or lower micro_batch_size."
    return None
