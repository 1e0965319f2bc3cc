"""A job: what one run of a rule makes, for a script of the workflow and for a test alike."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock

from lmodp.errors import DamagedFile, message_for_user
from lmodp.estimate.seconds import cell_seconds, slowness
from lmodp.grid.cells import Cell
from lmodp.pipeline.layout import Layout
from lmodp.records.artefacts import damage
from lmodp.records.reuse import input_hashes, run_stage
from lmodp.records.stage_table import STAGES, stage_code

if TYPE_CHECKING:
    from lmodp.stages.cell_runs import CellRuns

CELL_INPUTS = ("certificate", "dataset", "model", "tokens", "activations")
LONG = 600.0  # expected seconds of a run from which on it keeps checkpoints


@dataclass(frozen=True)
class Job:
    """One run of a rule for the thing of an id, empty where the grid has one such thing.

    ``inputs`` are paths by name, the stamps of bulky files included.
    """

    layout: Layout
    id: str
    inputs: Mapping[str, Sequence[Path]]

    @classmethod
    def of_stage(cls, layout: Layout, stage: str, thing: str = "") -> Self:
        """Return the job of a rule or stage for the thing of an id."""
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
        """Do a stage of this job, see `lmodp.records.reuse.run_stage`; bulky inputs are whole before it starts."""
        self._mend_inputs()
        outputs, spec = self.outputs(stage), self.layout.asked(stage, details.pop("spec"))
        record, stamp = outputs.pop("record"), outputs.pop("stamp", None)
        told = stage == "evaluate_model" and spec["public_scores"]
        return run_stage(
            stage,
            record=record,
            root=self.root,
            files=tuple(outputs.values()),
            artefact=stamp.parent if stamp else None,
            any_code=self.layout.keeps(stage),
            spec=spec,
            method_files=self.layout.method_files(stage, spec),
            public_only=self.layout.config.randomness == "entropy" and not told,
            **details,
        )

    def _mend_inputs(self) -> None:
        """Make bulky inputs again whose bytes are not those that were written; of several jobs only one does."""
        from lmodp.pipeline import jobs

        stages = {Path(item.files["stamp"]).parts[1]: item.name for item in STAGES.values() if "stamp" in item.files}
        for stamp in (paths[0] for name, paths in self.inputs.items() if name.endswith("_stamp")):
            folder = stamp.parent
            if damage(folder) is None:
                continue
            with FileLock(f"{folder}.lock"):
                damage.cache_clear()
                if fault := damage(folder):
                    stage = stages[folder.parent.name]
                    print(f"{folder.name}: {fault}. It is made again by {stage}", flush=True)
                    getattr(jobs, stage)(Job.of_stage(self.layout, stage, folder.name))
            if fault := damage(folder):
                raise DamagedFile(f"folder = {str(folder)!r}: {fault}, also after it was made again. Check the disk.")

    def leave_standing(self, *stages: str) -> bool:
        """Leave the records of these stages alone if they all stand, and return whether they do.

        A job also starts because a clone's cache was filled; what its records were made of may be as it was.
        """
        records = [self.outputs(stage)["record"] for stage in stages]
        if any(self.layout.judge.why_outdated(record) for record in records):
            return False
        print(f"{len(records)} records of {self.id} are kept as they are", flush=True)
        return True


def runs_of(layout: Layout, cell: Cell) -> "CellRuns":
    """Return the runs of a cell, made from the inputs that are there now."""
    from lmodp.stages.cell_runs import CellRuns  # loads torch

    needs = Job.of_stage(layout, "finetune_model", cell.id).records(*CELL_INPUTS)
    expected = cell_seconds(cell, layout.grid) * slowness(layout.config) / cell.repetitions
    return CellRuns(
        cell=cell,
        root=layout.results,
        cache=layout.cache,
        code=stage_code("finetune_model", layout.method_files("finetune_model", cell.spec.to_dict())),
        inputs=input_hashes(layout.results, needs.values()),
        any_code=layout.keeps("finetune_model"),
        device=layout.config.device,
        long=expected > LONG and cell.spec.randomness == "seeded",  # a checkpoint holds the key of the noise
    )


class _Tee:
    """A stream that writes to the console and to a log file; progress bars go to the console alone.

    Jobs share one console, so a line goes there in one piece: `print` writes a text and its line end apart.
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


def keep_log(path: Path) -> None:
    """Copy what the job prints into its log file, without progress bars, since jobs run side by side.

    In a terminal, where the workflow draws a line of its own (`lmodp.pipeline.console`), only errors appear.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.open("w", encoding="utf-8")
    nowhere = open(os.devnull, "w") if sys.stderr.isatty() else None
    sys.stdout, sys.stderr = _Tee(nowhere or sys.stdout, log), _Tee(nowhere or sys.stderr, log)
    os.environ["TQDM_DISABLE"] = "1"


def tell(error: BaseException, task: str = "") -> str:
    """Print what went wrong, in a terminal also there, and return it in one line.

    What a user can mend is one message; everything else is a fault of the suite and keeps its traceback.
    """
    known = message_for_user(error)
    head = f"lmodp: {task}: " if task else "lmodp: " if known else ""
    text = head + (known or "".join(format_exception(error)).rstrip())
    print(text, file=sys.stderr)
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        print(f"\r\x1b[K{text}", file=sys.__stderr__)  # in the place of the workflow's line, which comes back below
    return known or f"{type(error).__name__}: {error}"
