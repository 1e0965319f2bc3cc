"""The runs of one cell on disk: lines in the results; weights and full logs in the cache.

A run is written to a file of its own in the cache as soon as it is finished, and folded into the lines of
``training.jsonl`` with the others. So an interrupted cell goes on where it stopped, a cell's repetitions may be
made by several processes, and results that were deleted are written again from the cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from lmodp.errors import DamagedFile, Fault, LmodpError, MissingFile
from lmodp.models.prepare_model import weights_hash
from lmodp.records.places import cell_path, timing_path, timings_of
from lmodp.records.record import plain, read_runs, read_sealed, write_bytes, write_sealed
from lmodp.records.runs import run_line
from lmodp.tasks.classification import ClassificationTask
from lmodp.tasks.table_to_text import TableToTextTask

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell

Task = ClassificationTask | TableToTextTask
TASKS: dict[str, type[Task]] = {"classification": ClassificationTask, "table_to_text": TableToTextTask}


@dataclass(frozen=True)
class CellRuns:
    """Where the runs of a cell are, and which of them are finished.

    Args:
        root, cache: the grid's results folder and the folder of bulky files.
        code, inputs: fingerprint of the code of finetune_model, and hashes of the records that the runs are made from.
        any_code: whether runs that other code made are kept.
        device: what trains them, see `lmodp.training.device`.
        long: whether a run takes so long that it keeps checkpoints without being asked to.
    """

    cell: Cell
    root: Path
    cache: Path
    code: str
    inputs: Mapping[str, str]
    any_code: bool = False
    device: str = "auto"
    long: bool = False

    @property
    def folder(self) -> Path:
        """Folder of weights and logs in the cache."""
        return self.cache / "cells" / self.cell.id

    def weights(self, run: str) -> Path:
        """Return the place of a run's trained weights."""
        return self.folder / f"{run}.safetensors"

    def checkpoint(self, run: str) -> Path:
        """Return the place of a run's checkpoint."""
        return self.folder / f"{run}.checkpoint"

    @property
    def logs(self) -> Path:
        """Folder of the full logs; named as private for a release, whose logs no certificate covers."""
        return self.folder / "private" if self.cell.spec.randomness == "entropy" else self.folder

    def log(self, run: str) -> Path:
        """Return the place of a run's full log."""
        return self.logs / f"{run}.json"

    @property
    def scores(self) -> Path:
        """Return the place of scores that are not published."""
        return self.logs / "scores.json"

    @cached_property
    def task(self) -> Task:
        """The task of the cell, over its prepared files."""
        cell = self.cell
        return TASKS[cell.spec.card.task](
            cell.spec.task,
            model_folder=self.cache / "models" / cell.model,
            tokens_folder=self.cache / "tokens" / cell.tokens,
            activations_folder=self.cache / "activations" / cell.activations if cell.activations else None,
            device=self.device,
        )

    def made_by(self, **more: Any) -> dict[str, Any]:
        """Return what identifies the work behind a file in the cache."""
        return plain({"code": self.code, "inputs": dict(self.inputs), "spec": self.cell.spec.to_dict(), **more})

    def is_current(self, made_by: Mapping[str, Any]) -> bool:
        """Whether a file in the cache was made by the same code (or any, where that is kept) from the same inputs.

        A release is never trained again because the code or its certificate changed: that would be a second one.
        """
        wanted = self.made_by()
        if self.cell.spec.randomness == "entropy":
            return made_by.get("spec") == wanted["spec"] and _data_of(made_by) == _data_of(wanted)
        names = ("inputs", "spec") if self.any_code else ("code", "inputs", "spec")
        return all(made_by.get(name) == wanted[name] for name in names)

    def finished(self, number: int) -> dict[str, Any] | None:
        """Return the log of a finished repetition whose weights are there, or None.

        A log in the cache counts first. Without one, a line of the results does, where its weights are there.
        """
        run = self.cell.runs[number]
        log = self._cached(run) or (self._published(run) if self.cell.spec.randomness == "seeded" else None)
        if log is None or log.get("retry") or (log["status"] == "done" and not self.has_weights(log)):
            return None
        return log

    def refuse_second_release(self) -> None:
        """Raise `MissingFile` where a run is released already, but its files are gone."""
        if self.cell.spec.randomness != "entropy":
            return
        for number, run in enumerate(self.cell.runs):
            told = self._published(run)
            if told and told["status"] == "done" and self.finished(number) is None:
                path = cell_path(self.root, self.cell.id, "finetune_model")
                rule = "of a released run, or its log, are gone; trained again it is a second release of the same data"
                remedy = f"Put both back, or delete {str(path)!r} and count two releases."
                raise MissingFile(str(Fault("weights", str(self.weights(run)), rule, remedy)))

    def has_all_weights(self) -> bool:
        """Whether the weights are there of every run that the results call done."""
        _, lines = self.trained()
        done = [line for line in lines if line["status"] == "done"]
        return all(map(self.has_weights, done))

    def _cached(self, run: str) -> dict[str, Any] | None:
        try:
            found = read_sealed(self.log(run))
        except LmodpError:
            return None
        return found["log"] if self.is_current(found.get("made_by", {})) else None

    def _published(self, run: str) -> dict[str, Any] | None:
        try:
            record, lines = read_runs(cell_path(self.root, self.cell.id, "finetune_model"))
        except (MissingFile, DamagedFile):
            return None
        line = next((line for line in lines if line["run"] == run), None)
        known = line and {"code": line["created_by"]["code"], "inputs": record["inputs"], "spec": record["spec"]}
        return line if known and self.is_current(known) else None

    def has_weights(self, line: Mapping[str, Any]) -> bool:
        """Whether the weights of a run that is done are there, and are those that its line or log names."""
        try:
            return weights_hash(load_file(self.weights(line["run"]))) == line["weights_sha256"]
        except (OSError, SafetensorError):  # missing or damaged
            return False

    def save(self, log: Mapping[str, Any], timing: Mapping[str, Any] | None) -> None:
        """Write the log of a run that has just ended, with its measured times."""
        write_sealed(self.log(log["run"]), {"made_by": self.made_by(), "log": log, "timing": timing})

    def line(self, number: int, log: Mapping[str, Any]) -> dict[str, Any]:
        """Return the line of a run; the first repetition keeps its lists of steps."""
        return run_line(log, per_step=number == 0)

    def full_lines(self) -> list[dict[str, Any]]:
        """Return the line of every run with what is not published, for comparison with the certified plan."""
        _, lines = self.trained()
        if self.cell.spec.randomness == "seeded":
            return lines
        logs = (self._cached(line["run"]) for line in lines)
        return [self.line(line["repetition"], log or line) for line, log in zip(lines, logs, strict=True)]

    def trained(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the record of finetune_model and the lines of the runs."""
        return read_runs(cell_path(self.root, self.cell.id, "finetune_model"))

    def known_summary(self) -> dict[str, Any] | None:
        """Return what is trained, as the results say it; None where they are not there."""
        try:
            return self.trained()[0].get("trained")
        except (MissingFile, DamagedFile):
            return None

    def write_timing(self) -> None:
        """Write the measured times that the cache remembers, one line per run; keep those of other runs."""
        known = {item["run"]: item for item in timings_of(self.root, self.cell.id)}
        for run in self.cell.runs:
            with suppress(MissingFile, DamagedFile):
                if timing := read_sealed(self.log(run))["timing"]:
                    known[run] = {"run": run, **timing}
        lines = [known[run] for run in self.cell.runs if run in known]
        write_bytes(timing_path(self.root, self.cell.id), "".join(json.dumps(line) + "\n" for line in lines).encode())


def _data_of(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that are data, tokens or a model: another one of these is another release."""
    inputs = made_by.get("inputs") or {}
    return {name: value for name, value in inputs.items() if name.startswith(("datasets/", "tokens/", "models/"))}
