"""Where the workflow's files lie and what needs what: the rules ask here, and so do their scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from lmodp.data.cards import DATASETS
from lmodp.data.lockfile import locked_package
from lmodp.errors import LmodpError
from lmodp.grid.cells import Cell, Grid, Item, dataset_item, model_item, tokens_item
from lmodp.grid.config import Config, check_config
from lmodp.methods.discovery import method_files
from lmodp.models.cards import MODELS
from lmodp.records.places import cell_records, certificate_path
from lmodp.records.reuse import STAMP, get_stage, method_file_of, run_stage, why_outdated
from lmodp.vocabulary import OWN_ENGINE

MOST_SEARCHES = 4  # rows of the search figure
AUDIT_SETTINGS = {  # those that each stage reads
    "audit_mechanism": ("trials", "sampler_trials", "coordinates", "confidence"),
    "audit_training": ("canaries", "confidence"),
}


@dataclass(frozen=True)
class Layout:
    """A grid and the places of its records and bulky files.

    Rules take functions of wildcards from here; a wildcard ``id`` is always the id
    of the thing whose folder the rule writes.
    """

    config: Config
    grid: Grid
    _verdicts: dict[Path, str | None] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Layout:
        """Return the layout of a configuration given as plain values.

        Raises:
            ConfigError: the configuration is faulty.
        """
        config = check_config(dict(values))
        return cls(config, Grid(config))

    @property
    def results(self) -> Path:
        """Folder of the grid's records."""
        return self.config.results

    @property
    def cache(self) -> Path:
        """Folder of bulky files."""
        return self.config.cache

    @cached_property
    def _method_files(self) -> dict[str, Path]:
        return method_files(self.config.methods_folder)

    def method_file(self, stage: str, spec: Mapping[str, Any]) -> Path | None:
        """Return the method file that a stage's result depends on, or None."""
        return method_file_of(stage, spec, self._method_files)

    def outdated(self, record: Path) -> bool:
        """Whether a record must be made (again)."""
        return (
            why_outdated(
                record,
                root=self.results,
                method_files=self._method_files,
                any_code=self.config.keep_records,
                made_otherwise=self._made_otherwise,
                seen=self._verdicts,
            )
            is not None
        )

    def _made_otherwise(self, values: Mapping[str, Any]) -> str | None:
        """Whether what is asked of a record that has no id of its own is now another thing: an audit's settings, a map's spec."""
        maps = {"map_space": self.shown_landscape, "map_wins": self.mapped_wins}
        if values["kind"] in maps:
            return None if values["spec"] == maps[values["kind"]]() else "another spec"
        return self._audited_otherwise(values)

    def mapped_wins(self) -> dict[str, Any]:
        """What `map_wins` is asked for."""
        return {"delta": self.config.privacy.delta[0]}

    def _audited_otherwise(self, values: Mapping[str, Any]) -> str | None:
        """Which settings of an audit, no part of its id, are not the configuration's."""
        wanted = self.config.audit.model_dump(mode="json")
        changed = [
            name for name in AUDIT_SETTINGS.get(values["kind"], ()) if values["spec"]["audit"].get(name) != wanted[name]
        ]
        return f"other settings of the audit ({', '.join(changed)})" if changed else None

    def packages_of_dataset(self, wildcards: Any) -> list[str]:
        """Fetched packages that a prepared data set reads."""
        item = self.grid.datasets[wildcards.id].spec
        return self._fetched(DATASETS[item["dataset"]].package if item["source"] == "embedded" else None)

    def packages_of_model(self, wildcards: Any) -> list[str]:
        """Fetched packages that a prepared model reads."""
        item = self.grid.models[wildcards.id].spec
        return self._fetched(MODELS[item["model"]].package if item["source"] == "embedded" else None)

    def _fetched(self, package: str | None) -> list[str]:
        return [str(locked_package(package).folder(self.cache) / "fetched.json")] if package else []

    def for_tokens(self, kind: str, file: str | None = None) -> Callable[[Any], str]:
        """A function from a tokenised set's id to its data set's or model's record (or stamp)."""
        item_of = {"datasets": dataset_item, "models": model_item}[kind]
        return lambda wildcards: self._place(kind, item_of(self.grid.tokens[wildcards.id].spec).id, file)

    def for_activations(self, kind: str, file: str | None = None) -> Callable[[Any], str]:
        """A function from cached activations' id to their tokens' or model's record (or stamp)."""
        item_of = {"tokens": tokens_item, "models": model_item}[kind]
        return lambda wildcards: self._place(kind, item_of(self.grid.activations[wildcards.id].spec).id, file)

    def for_cell(self, kind: str, file: str | None = None) -> Callable[[Any], str]:
        """A function from a cell's id to the record (or stamp) of a thing it needs."""
        attribute = {"mechanisms": "mechanism", "datasets": "dataset", "models": "model", "tokens": "tokens"}[kind]
        return lambda wildcards: self._place(kind, getattr(self.grid.cell(wildcards.id), attribute), file)

    def needs_of_cell(self) -> dict[str, Callable[[Any], Any]]:
        """The inputs of a cell's training and scoring, by name."""
        return {
            "certificate": self.for_cell("mechanisms", "certificate.json"),
            "dataset": self.for_cell("datasets", "dataset.json"),
            "model": self.for_cell("models", "model.json"),
            "model_stamp": self.for_cell("models"),
            "tokens": self.for_cell("tokens", "tokens.json"),
            "tokens_stamp": self.for_cell("tokens"),
            "activations": lambda wildcards: self._activations(self.grid.cell(wildcards.id), "activations.json"),
            "activations_stamp": lambda wildcards: self._activations(self.grid.cell(wildcards.id), None),
        }

    def _activations(self, cell: Cell, file: str | None) -> list[str]:
        return [self._place("activations", cell.activations, file)] if cell.activations else []

    def search_of_mechanism(self, wildcards: Any) -> list[str]:
        """The record of the search that a mechanism's method asks for, if any."""
        item = self.grid.search_of(self.grid.mechanisms[wildcards.id].spec)
        return [self._place("search", item.id, "search.json")] if item else []

    def model_of_mechanism(self, file: str | None) -> Callable[[Any], list[str]]:
        """A function from a mechanism's id to the record (or stamp) of the model whose parameters its method counts."""

        def found(wildcards: Any) -> list[str]:
            released = self.grid.mechanisms[wildcards.id].spec["released"]
            return [self._place("models", released["model"], file)] if released else []

        return found

    def model_folder_of_mechanism(self, mechanism_id: str) -> Path | None:
        """The prepared model whose parameters a mechanism's method counts, or None."""
        released = self.grid.mechanisms[mechanism_id].spec["released"]
        return self.cache / "models" / released["model"] if released else None

    def _place(self, kind: str, item_id: str, file: str | None) -> str:
        return str(self.results / kind / item_id / file if file else self.cache / kind / item_id / STAMP)

    def cell_records(self, file: str) -> list[str]:
        """One record of every computed cell."""
        return [
            str(self.results / "cells" / cell.id / file)
            for cell in self.grid.active
            if self._wanted(*cell_records(self.results, cell.id))
        ]

    def _wanted(self, *records: Path) -> bool:
        """Whether to ask for records: always, or where they are there."""
        return self.config.unfinished == "compute" or all(record.is_file() for record in records)

    def records_of(self, experiment: str) -> list[str]:
        """The last records of one experiment's cells; of a plan that is only certified, the audits of its mechanisms."""
        cells = [cell for cell in self.grid.certified if cell.spec["experiment"] == experiment]
        if experiment in self.grid.trained:
            return [
                str(self.results / "cells" / cell.id / name)
                for cell in cells
                for name in ("evaluate.json", "verify.json")
            ]
        wanted = {cell.mechanism for cell in cells}
        return [path for path in self.mechanism_audits() if Path(path).parent.name in wanted]

    def certificates(self) -> list[str]:
        """The certificates of all mechanisms."""
        found = (certificate_path(self.results, item) for item in self.grid.mechanisms)
        return [str(record) for record in found if self._wanted(record)]

    def mechanism_audits(self) -> list[str]:
        """The audits of all mechanisms that add noise."""
        private = [item.id for item in self.grid.mechanisms.values() if item.spec["calibration"] is not None]
        found = (self.results / "mechanisms" / item / "audit.json" for item in private)
        return [str(record) for record in found if self._wanted(record)]

    def training_audits(self) -> list[str]:
        """The audits of `audited_cells`."""
        found = (self.results / "cells" / cell / "audit.json" for cell in self.audited_cells())
        return [str(record) for record in found if self._wanted(record)]

    def audited_cells(self) -> list[str]:
        """One cell a private method that the suite's engine trains, by id.

        The cell of its largest epsilon, calibrated on verified where it can be.
        """
        chosen: dict[str, Cell] = {}
        for cell in self.grid.active:
            if cell.spec["calibration"] is not None and cell.spec["engine"] == OWN_ENGINE:
                held = chosen.setdefault(cell.spec["method"], cell)
                chosen[cell.spec["method"]] = max(held, cell, key=_audit_rank)
        return [cell.id for cell in chosen.values()]

    def search_records(self) -> list[str]:
        """The records of all offline searches."""
        return self._search_records(self.grid.searches.values())

    def shown_searches(self) -> list[str]:
        """The records of the searches that the figure shows, by target: at the smallest delta, the first `MOST_SEARCHES`."""
        return self._search_records(self._shown_searches())

    def shown_landscape(self) -> dict[str, Any]:
        """What `map_space` is asked for: the space, the smallest delta, and the targets that the figure shows."""
        shown = [item.spec for item in self._shown_searches()]
        return {"space": shown[0]["space"], "delta": shown[0]["delta"], "epsilon": [spec["epsilon"] for spec in shown]}

    def _shown_searches(self) -> list[Item]:
        searches = sorted(self.grid.searches.values(), key=lambda item: (item.spec["delta"], item.spec["epsilon"]))
        return [item for item in searches if item.spec["delta"] == searches[0].spec["delta"]][:MOST_SEARCHES]

    def _search_records(self, searches: Iterable[Item]) -> list[str]:
        found = (self.results / "search" / item.id / "search.json" for item in searches)
        return [str(record) for record in found if self._wanted(record)]


def _audit_rank(cell: Cell) -> tuple[bool, float]:
    """Most is to be seen where epsilon is large and holds for the run."""
    return cell.spec["calibration"] == "verified", cell.spec["epsilon"]


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print what a user can mend as one message; everything else is a fault of the suite and keeps its traceback."""
    if isinstance(error, LmodpError):
        print(f"lmodp: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


@dataclass(frozen=True)
class Job:
    """What a script sees: its layout, the id of its wildcard and its input records.

    Args:
        snakemake: the object that Snakemake puts into a script's namespace.
    """

    snakemake: Any

    def __post_init__(self) -> None:
        sys.excepthook = _tell

    @cached_property
    def layout(self) -> Layout:
        """The grid this job belongs to."""
        return Layout.from_values(self.snakemake.config)

    @property
    def id(self) -> str:
        """The thing that the job makes."""
        return self.snakemake.wildcards.id

    def run_stage(self, name: str, **details: Any) -> dict[str, Any]:
        """Do a stage of this job, see `lmodp.records.reuse.run_stage`; under ``keep_records`` any code's records stand but those that report."""
        any_code = self.layout.config.keep_records and not get_stage(name).reports
        return run_stage(name, root=self.layout.results, any_code=any_code, **details)

    def leave_standing(self) -> bool:
        """Leave the job's records alone if they all hold, and say whether they do.

        A job also starts because a clone's cache was filled; what its records were made of may be as it was.
        """
        records = [Path(str(file)) for file in self.snakemake.output]
        if any(self.layout.outdated(record) for record in records):
            return False
        for record in records:
            os.utime(record)  # newer than its inputs again, so that the workflow rests
        print(f"{len(records)} records of {self.id} stand", flush=True)
        return True

    def input(self, name: str) -> Path:
        """Path of a named input."""
        return Path(str(self.snakemake.input[name]))

    def output(self, name: str) -> Path:
        """Path of a named output."""
        return Path(str(self.snakemake.output[name]))

    def records(self, *names: str) -> dict[str, Path]:
        """The named inputs that are there; a list of files gets numbered names."""
        found: dict[str, Path] = {}
        for name in names:
            value = self.snakemake.input.get(name, [])
            files = [value] if isinstance(value, str) else list(value)
            found |= {
                name if len(files) == 1 else f"{name} {number}": Path(str(file)) for number, file in enumerate(files)
            }
        return found
