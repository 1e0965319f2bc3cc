"""A job: what one run of a rule makes, for a script of the workflow and for a test alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from types import TracebackType
from typing import Any, Self

from lmodp.errors import LmodpError
from lmodp.pipeline.layout import Layout
from lmodp.records.reuse import run_stage


@dataclass(frozen=True)
class Job:
    """One run of a rule.

    Args:
        layout: the grid it belongs to.
        id: of the thing that it makes; empty where the grid has one such thing.
        inputs: paths by name, the stamps of bulky files included.
    """

    layout: Layout
    id: str
    inputs: Mapping[str, Sequence[Path]]

    @classmethod
    def of_rule(cls, snakemake: Any) -> Self:
        """Return the job of a script; ``snakemake`` is what Snakemake puts into its namespace."""
        if snakemake.log:
            _keep_log(Path(str(snakemake.log)))
        sys.excepthook = _tell
        layout = Layout.from_values(snakemake.config)
        inputs = {name: _paths(files) for name, files in snakemake.input.items() if name != "now"}
        return cls(layout, getattr(snakemake.wildcards, "id", ""), inputs)

    @classmethod
    def of_stage(cls, layout: Layout, stage: str, thing: str = "") -> Self:
        """Return the job that the workflow would run for a stage, without Snakemake."""
        return cls(layout, thing, layout.needs.inputs(stage, thing))

    @property
    def root(self) -> Path:
        """The grid's results folder."""
        return self.layout.results

    def input(self, name: str) -> Path:
        """Return the one input of a name."""
        (path,) = self.inputs[name]
        return path

    def has(self, name: str) -> bool:
        """Whether there is an input of a name."""
        return name in self.inputs

    def records(self, *names: str) -> dict[str, Path]:
        """Return the inputs of these names that there are, each under its name; of several, numbered."""
        found = {name: self.inputs[name] for name in names if name in self.inputs}
        return {
            name if len(paths) == 1 else f"{name} {number}": path
            for name, paths in found.items()
            for number, path in enumerate(paths)
        }

    def outputs(self, stage: str) -> dict[str, Path]:
        """Return the files that a stage writes for this job's thing, by name."""
        return self.layout.outputs(stage, self.id)

    def run(self, stage: str, **details: Any) -> dict[str, Any]:
        """Do a stage of this job, see `lmodp.records.reuse.run_stage`."""
        outputs = self.outputs(stage)
        record, stamp = outputs.pop("record"), outputs.pop("stamp", None)
        return run_stage(
            stage,
            record=record,
            root=self.root,
            files=tuple(outputs.values()),
            artefact=stamp.parent if stamp else None,
            any_code=self.layout.keeps(stage),
            **details,
        )

    def leave_standing(self, *stages: str) -> bool:
        """Leave the records of these stages alone if they all stand, and return whether they do.

        A job also starts because a clone's cache was filled; what its records were made of may be as it was.
        """
        records = [self.outputs(stage)["record"] for stage in stages]
        if any(self.layout.judge.why_outdated(record) for record in records):
            return False
        for record in records:
            os.utime(record)  # newer than its inputs again, so that the workflow rests
        print(f"{len(records)} records of {self.id} are kept as they are", flush=True)
        return True


class _Tee:
    """A stream that writes to the console and to a log file; progress bars go to the console alone.

    Jobs share one console. So a line goes there in one piece: `print` writes a text and its line end apart, and
    without a buffer (PYTHONUNBUFFERED) the lines of two jobs would run into each other.
    """

    def __init__(self, console: Any, log: Any):
        self.console, self.log = console, log
        self.begun = ""  # a line whose end has not come yet

    def write(self, text: str) -> int:
        """Write whole lines to both; what overwrites its own line goes to the console alone, and at once."""
        if "\r" in text:
            self.console.write(text)
            return len(text)
        lines, end, self.begun = (self.begun + text).rpartition("\n")
        if end:
            self._pass_on(lines + end)
        return len(text)

    def flush(self) -> None:
        """Pass on what has no line end yet."""
        self._pass_on(self.begun)
        self.begun = ""
        self.console.flush()

    def _pass_on(self, text: str) -> None:
        self.log.write(text)
        self.log.flush()
        self.console.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


def _keep_log(path: Path) -> None:
    """Copy what the job prints into its log file.

    In a terminal the workflow draws a line of its own, see `lmodp.pipeline.console`; there only an error appears beside
    it. Jobs draw no progress bars: they run side by side.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.open("w", encoding="utf-8", buffering=1)
    terminal = sys.stderr.isatty()
    sys.stdout, sys.stderr = (log, log) if terminal else (_Tee(sys.stdout, log), _Tee(sys.stderr, log))
    os.environ["TQDM_DISABLE"] = "1"


def _paths(files: Any) -> list[Path]:
    return [Path(files)] if isinstance(files, str) else [Path(str(file)) for file in files]


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print what a user can mend as one message; everything else is a fault of the suite and keeps its traceback."""
    known = isinstance(error, LmodpError)
    text = f"lmodp: {error}" if known else "".join(format_exception(kind, error, traceback)).rstrip()
    print(text, file=sys.stderr)
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        print(f"\r\x1b[K{text}", file=sys.__stderr__)  # in the place of the workflow's line, which comes back below
