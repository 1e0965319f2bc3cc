"""What every record is made from: the edges of the workflow's graph, for rules and tests alike.

`Needs.inputs` answers for a stage and the id of a thing: paths by name. Names that end in ``_stamp`` are bulky
files, whose records are inputs already; they make Snakemake wait and are no inputs of a record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lmodp.data.locks import locked_package
from lmodp.grid.cells import Cell, Grid
from lmodp.models.cards import MODELS
from lmodp.records.places import cell_path, cell_records, mechanism_path
from lmodp.records.stage_table import outputs_of
from lmodp.specs import SearchSpec
from lmodp.vocabulary import OWN_ENGINE

MOST_SEARCHES = 4  # rows of the search figure
Inputs = dict[str, list[Path]]


@dataclass(frozen=True)
class Needs:
    """The inputs of every stage in one grid; where ``pending``, a record that is not there is left out, not made."""

    grid: Grid
    results: Path
    cache: Path
    pending: bool = False

    def inputs(self, stage: str, thing: str) -> Inputs:
        """Return what a stage needs for the thing of an id, by name; empty lists are left out."""
        find = getattr(self, f"_{stage}", None)  # a stage without such a method needs nothing
        found: Inputs = find(thing) if find else {}
        return {name: paths for name, paths in found.items() if paths}

    def _made(self, stage: str, thing: str = "") -> Inputs:
        """The record that a stage makes, under the name of its file, and the stamp of its bulky files."""
        files = outputs_of(stage, thing, results=self.results, cache=self.cache)
        name = files["record"].stem
        return {name: [files["record"]], **({f"{name}_stamp": [files["stamp"]]} if "stamp" in files else {})}

    def _prepare_dataset(self, thing: str) -> Inputs:
        spec = self.grid.datasets[thing]
        return self._package(spec.card.package if spec.source == "embedded" else None)

    def _prepare_model(self, thing: str) -> Inputs:
        spec = self.grid.models[thing]
        return self._package(MODELS[spec.model].package if spec.source == "embedded" else None)

    def _package(self, name: str | None) -> Inputs:
        return {"package": [locked_package(name).folder(self.cache) / "fetched.json"]} if name else {}

    def _tokenize_dataset(self, thing: str) -> Inputs:
        spec = self.grid.tokens[thing]
        dataset = self._made("prepare_dataset", spec.needed_dataset.id)
        return {**dataset, **self._made("prepare_model", spec.needed_model.id)}

    def _cache_activations(self, thing: str) -> Inputs:
        spec = self.grid.activations[thing]
        tokens = self._made("tokenize_dataset", spec.needed_tokens.id)
        return {**tokens, **self._made("prepare_model", spec.needed_model.id)}

    def _calibrate_noise(self, thing: str) -> Inputs:
        spec = self.grid.mechanisms[thing]
        search = self._made("search_noise", spec.search.id) if spec.search else {}
        return {**search, **(self._made("prepare_model", spec.released.model) if spec.released else {})}

    def _certify_mechanism(self, thing: str) -> Inputs:
        return self._made("calibrate_noise", thing)

    def _audit_mechanism(self, thing: str) -> Inputs:
        return {**self._made("calibrate_noise", thing), **self._made("certify_mechanism", thing)}

    def _finetune_model(self, thing: str) -> Inputs:
        cell = self.grid.cell(thing)
        return {
            **self._made("certify_mechanism", cell.mechanism),
            **self._made("prepare_dataset", cell.dataset),
            **self._made("prepare_model", cell.model),
            **self._made("tokenize_dataset", cell.tokens),
            **(self._made("cache_activations", cell.activations) if cell.activations else {}),
        }

    def _finetune_and_audit_model(self, thing: str) -> Inputs:
        return {**self._made("calibrate_noise", self.grid.cell(thing).mechanism), **self._finetune_model(thing)}

    def _collect_results(self, _: str) -> Inputs:
        return {
            "verify": self.of_cells("verify_run"),
            "evaluate": self.of_cells("evaluate_model"),
            "certificates": self._of_mechanisms("certify_mechanism", self.grid.mechanisms),
            "audits": self.mechanism_audits(),
        }

    def _make_table(self, _: str) -> Inputs:
        return self._made("collect_results")

    _measure_cost = _compare_published = _make_table

    def _make_figure(self, name: str) -> Inputs:
        space = {"searches": self._search_records(self._shown), **self._made("map_space")} if name == "search" else {}
        wins = {"wins": self._made("map_wins")["map_of_wins"]} if name == "wins" else {}
        return {**self._made("collect_results"), **space, **wins}

    def _report(self, _: str) -> Inputs:
        shown = ("collect_results", "make_table", "compare_published", "measure_cost")
        tables = {name: paths for stage in shown for name, paths in self._made(stage).items()}
        return {**tables, "figures": [self._made("make_figure", name)[name][0] for name in self.figures]}

    @cached_property
    def figures(self) -> list[str]:
        """The figures that the grid can have, in the order of the report."""
        from lmodp.reporting.figures.catalogue import figure_names  # not needed where nothing is drawn

        searched = bool(self._search_records(self.grid.searches.values()))
        return figure_names(self.grid, searched=searched, audited=bool(self.mechanism_audits()))

    def _wanted(self, records: Iterable[Path]) -> list[Path]:
        """Keep all records, or those that are there."""
        return [record for record in records if not self.pending or record.is_file()]

    def _of_mechanisms(self, stage: str, mechanisms: Iterable[str]) -> list[Path]:
        return self._wanted(mechanism_path(self.results, item, stage) for item in mechanisms)

    def _search_records(self, searches: Iterable[SearchSpec]) -> list[Path]:
        return self._wanted(self._made("search_noise", spec.id)["search"][0] for spec in searches)

    def of_cells(self, stage: str) -> list[Path]:
        """Return one record of every computed cell; of those that are finished, where others stay pending."""
        cells = [cell.id for cell in self.grid.active]
        finished = [item for item in cells if len(self._wanted(cell_records(self.results, item))) == 3]
        return [cell_path(self.results, item, stage) for item in finished]

    def of_experiment(self, name: str) -> list[Path]:
        """Return the last records of one experiment's cells; where nothing is trained, its mechanisms' audits."""
        cells = [cell for cell in self.grid.certified if cell.spec.experiment == name]
        if name in self.grid.trained:
            last = ("evaluate_model", "verify_run")
            return [cell_path(self.results, cell.id, stage) for cell in cells for stage in last]
        wanted = {cell.mechanism for cell in cells}
        return [path for path in self.mechanism_audits() if path.parent.name in wanted]

    def mechanism_audits(self) -> list[Path]:
        """Return the audits of all mechanisms that add noise."""
        private = [item for item, spec in self.grid.mechanisms.items() if spec.calibration is not None]
        return self._of_mechanisms("audit_mechanism", private)

    @cached_property
    def audited_cells(self) -> list[str]:
        """One cell per private method that the suite's engine trains, by id.

        The cell of its largest epsilon, calibrated on verified where it can be: a violation shows best there.
        """

        def rank(cell: Cell) -> tuple[bool, float]:
            return cell.spec.calibration == "verified", cell.spec.epsilon or 0.0

        chosen: dict[str, Cell] = {}
        for cell in self.grid.active:
            if cell.spec.calibration is not None and cell.spec.engine == OWN_ENGINE:
                held = chosen.setdefault(cell.spec.method, cell)
                chosen[cell.spec.method] = max(held, cell, key=rank)
        return [cell.id for cell in chosen.values()]

    def mapped(self, stage: str) -> dict[str, Any]:
        """Return what a map is asked for: map_space the space, smallest delta and targets that the figure shows."""
        if stage == "map_wins":
            return {"epsilon": 1.0}
        first = self._shown[0]
        return {"space": first.space, "delta": first.delta, "epsilon": [spec.epsilon for spec in self._shown]}

    @cached_property
    def _shown(self) -> list[SearchSpec]:
        """The searches that the figure shows, by target: at the smallest delta, the first `MOST_SEARCHES`."""
        searches = sorted(self.grid.searches.values(), key=lambda spec: (spec.delta, spec.epsilon))
        return [spec for spec in searches if spec.delta == searches[0].delta][:MOST_SEARCHES]
