"""What a person sees of a running workflow: one line in a terminal, plain lines elsewhere, where to look at the end.

In a terminal the line says how many jobs are done of all, about how long the rest takes, and what runs. Snakemake's
messages appear above it; what the jobs print is in their log files. Elsewhere nothing overwrites a line.
"""

from __future__ import annotations

import codecs
import logging
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

PLAIN = {  # for a console that knows no Greek
    **{"ε": "epsilon", "δ": "delta", "σ": "sigma", "α": "alpha", "γ": "gamma", "λ": "lambda", "μ": "mu", "ρ": "rho"},
    **{"–": "-", "—": "-", "−": "-", "─": "-", "×": "x", "±": "+-", "∞": "inf", "≤": "<=", "≥": ">=", "→": "->"},
}
# What Snakemake's scheduler says of every round and every job.
_CHATTER = ("Select jobs to execute", "Execute ", "Complete log")
_CHATTER_EVENTS = ("job_info", "job_started", "job_finished", "shellcmd")
_LINE = "{n_fmt}/{total_fmt} jobs done |{bar:20}| {remaining} left: {desc}"


def speak_plainly() -> None:
    """Let no character end a program because the console cannot encode it: Greek is spelt, others become ``?``."""
    codecs.register_error("lmodp.plain", _spell)
    for stream in (sys.stdout, sys.stderr):
        if not (stream.encoding or "utf-8").lower().startswith("utf") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="lmodp.plain")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


def typed(program: str) -> str:
    """Return how a program of this environment is called: by its name if the shell finds it, else by its path."""
    path = Path(sys.executable).parent / program
    return near(path) if path.exists() and shutil.which(program) != str(path) else program


def near(path: Path) -> str:
    """Return a path as it is typed here: relative if it lies below this folder."""
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)


def closing_lines(results: Path, again: str) -> list[str]:
    """Return where to look after a run without a failed job, and the next command; ``again`` makes the whole grid."""
    places = {"Report": results / "report.html", "Table": results / "tables" / "comparison.md"}
    found = [f"{name + ':':9s}{path}" for name, path in places.items() if path.is_file()]
    if len(found) == len(places):
        return [*found, f"Next:    {typed('lmodp')} summary {results}"]
    return [f"Records: {results}", *found, f"Next:    {again} makes the rest of the grid, its tables and its report"]


class Console:
    """The console of one run of the workflow, from its first job to its last; ``total`` is the number of jobs."""

    def __init__(self, logger: logging.Logger, total: int):
        self._running: dict[int, str] = {}
        self._bar: tqdm | None = None
        for handler in logger.handlers:
            if handler.name == "DefaultStreamHandler":
                handler.addFilter(self._follow)
                stream = handler.stream  # type: ignore[attr-defined]
                if stream.isatty():
                    from tqdm import tqdm

                    shape = {"nrows": 24, "ncols": 79}  # a terminal that does not say its size would get no line at all
                    self._bar = tqdm(total=total, file=stream, bar_format=_LINE, smoothing=0, leave=False, **shape)
                    handler.setStream(_Above(stream, self._bar))  # type: ignore[attr-defined]

    def close(self) -> None:
        """Take the line away: what comes last says where to look."""
        if self._bar is not None:
            self._bar.close()

    def _follow(self, record: logging.LogRecord) -> bool:
        """Bring the line up to date with a message, and return whether the message is shown as well."""
        event, facts = str(getattr(record, "event", "")), vars(record)
        if event == "job_info":
            self._running[facts["jobid"]] = facts["rule_name"]
        elif event in ("job_finished", "job_error"):
            self._running.pop(facts["job_id" if event == "job_finished" else "jobid"], None)
        if self._bar is not None:
            counts = Counter(self._running.values())
            self._bar.desc = ", ".join(f"{rule} ({count})" if count > 1 else rule for rule, count in counts.items())
            if event == "progress":
                self._bar.n, self._bar.total = facts["done"], facts["total"]
            self._bar.ncols = shutil.get_terminal_size().columns - 1
            self._bar.refresh()
        in_line = event == "progress" and self._bar is not None
        return not in_line and event not in _CHATTER_EVENTS and not str(record.msg).startswith(_CHATTER)


class _Above:
    """A terminal's stream that writes above the progress line."""

    def __init__(self, stream: TextIO, bar: tqdm):
        self._stream, self._bar = stream, bar

    def write(self, text: str) -> int:
        with self._bar.external_write_mode(file=self._stream):
            return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
