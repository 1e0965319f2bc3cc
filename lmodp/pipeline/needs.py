"""What every record is made from: the edges of the workflow's graph, for rules and tests alike.

`Needs.inputs` answers for a stage and the id of a thing: paths by name. Names that end in ``_stamp`` are bulky
files, whose records are inputs already; they make Snakemake wait and are no inputs of a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lmodp.data.locks import locked_package
from lmodp.grid.cells import Cell, Grid
from lmodp.models.cards import MODELS
from lmodp.records.places import STAMP, audit_path, cell_path, cell_records, certificate_path, noise_path
from lmodp.specs import SearchSpec
from lmodp.vocabulary import OWN_ENGINE

MOST_SEARCHES = 4  # rows of the search figure
Inputs = dict[str, list[Path]]


@dataclass(frozen=True)
class Needs:
    """The inputs of every stage in one grid.

    Args:
        grid: whose things are made.
        results, cache: its folders.
        pending: whether a record that is not there is left out rather than made.
    """

    grid: Grid
    results: Path
    cache: Path
    pending: bool = False

    def inputs(self, stage: str, thing: str) -> Inputs:
        """Return what a stage needs for the thing of an id, by name; empty lists are left out."""
        find: dict[str, Callable[[str], Inputs]] = {
            "prepare_dataset": self._prepare_dataset,
            "prepare_model": self._prepare_model,
            "tokenize_dataset": self._tokenize_dataset,
            "cache_activations": self._cache_activations,
            "calibrate_noise": self._calibrate_noise,
            "certify_mechanism": lambda item: {"noise": [noise_path(self.results, item)]},
            "audit_mechanism": self._audit_mechanism,
            "finetune_model": lambda item: self._cell(item, audited=False),
            "finetune_and_audit_model": lambda item: self._cell(item, audited=True),
            "collect_results": lambda item: self._collected(),
            "make_table": lambda item: self._tables(),
            "measure_cost": lambda item: self._tables(),
            "compare_published": lambda item: self._tables(),
            "make_figure": self._figure,
            "report": lambda item: self._report(),
        }
        found = find[stage](thing) if stage in find else {}
        return {name: paths for name, paths in found.items() if paths}

    def _record(self, kind: str, thing: str, file: str) -> list[Path]:
        return [self.results / kind / thing / file]

    def _prepared(self, kind: str, thing: str, file: str) -> Inputs:
        name = file.removesuffix(".json")
        return {name: self._record(kind, thing, file), f"{name}_stamp": [self.cache / kind / thing / STAMP]}

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
        dataset = self._prepared("datasets", spec.needed_dataset.id, "dataset.json")
        return {**dataset, **self._prepared("models", spec.needed_model.id, "model.json")}

    def _cache_activations(self, thing: str) -> Inputs:
        spec = self.grid.activations[thing]
        tokens = self._prepared("tokens", spec.needed_tokens.id, "tokens.json")
        return {**tokens, **self._prepared("models", spec.needed_model.id, "model.json")}

    def _calibrate_noise(self, thing: str) -> Inputs:
        spec = self.grid.mechanisms[thing]
        search = {"search": self._record("search", spec.search.id, "search.json")} if spec.search else {}
        return {**search, **(self._prepared("models", spec.released.model, "model.json") if spec.released else {})}

    def _audit_mechanism(self, thing: str) -> Inputs:
        return {"noise": [noise_path(self.results, thing)], "certificate": [certificate_path(self.results, thing)]}

    def _cell(self, thing: str, *, audited: bool) -> Inputs:
        cell = self.grid.cell(thing)
        activations = self._prepared("activations", cell.activations, "activations.json") if cell.activations else {}
        return {
            "certificate": [certificate_path(self.results, cell.mechanism)],
            **({"noise": [noise_path(self.results, cell.mechanism)]} if audited else {}),
            **self._prepared("datasets", cell.dataset, "dataset.json"),
            **self._prepared("models", cell.model, "model.json"),
            **self._prepared("tokens", cell.tokens, "tokens.json"),
            **activations,
        }

    def _collected(self) -> Inputs:
        return {
            "verify": self.of_cells("verify_run"),
            "evaluate": self.of_cells("evaluate_model"),
            "certificates": self._wanted(certificate_path(self.results, item) for item in self.grid.mechanisms),
            "audits": self.mechanism_audits(),
        }

    def _tables(self) -> Inputs:
        return {"results": [self.results / "tables/results.json"]}

    def _figure(self, name: str) -> Inputs:
        sources = {
            "search": {"searches": self.shown_searches(), "landscape": [self.results / "figures/landscape.json"]},
            "wins": {"wins": [self.results / "figures/map_of_wins.json"]},
        }
        return {**self._tables(), **sources.get(name, {})}

    def _report(self) -> Inputs:
        tables = {
            name: [self.results / "tables" / f"{name}.json"] for name in ("results", "table", "published", "cost")
        }
        return {**tables, "figures": [self.results / "figures" / f"{name}.json" for name in self.figures]}

    @cached_property
    def figures(self) -> list[str]:
        """The figures that the grid can have, in the order of the report."""
        from lmodp.reporting.figures.catalogue import figure_names  # not needed where nothing is drawn

        return figure_names(self.grid, searched=bool(self.search_records()), audited=bool(self.mechanism_audits()))

    def _wanted(self, records: Iterable[Path]) -> list[Path]:
        """Keep all records, or those that are there."""
        return [record for record in records if not self.pending or record.is_file()]

    def of_cells(self, stage: str) -> list[Path]:
        """Return one record of every computed cell; of those that are finished, where others stay pending."""
        cells = [cell.id for cell in self.grid.active]
        finished = [item for item in cells if len(self._wanted(cell_records(self.results, item))) == 3]
        return [cell_path(self.results, item, stage) for item in finished]

    def of_experiment(self, name: str) -> list[Path]:
        """Return the last records of one experiment's cells.

        A plan that is only certified has no cells; then the audits of its mechanisms.
        """
        cells = [cell for cell in self.grid.certified if cell.spec.experiment == name]
        if name in self.grid.trained:
            return [
                cell_path(self.results, cell.id, stage) for cell in cells for stage in ("evaluate_model", "verify_run")
            ]
        wanted = {cell.mechanism for cell in cells}
        return [path for path in self.mechanism_audits() if path.parent.name in wanted]

    def mechanism_audits(self) -> list[Path]:
        """Return the audits of all mechanisms that add noise."""
        private = [item for item, spec in self.grid.mechanisms.items() if spec.calibration is not None]
        return self._wanted(audit_path(self.results, item) for item in private)

    @cached_property
    def audited_cells(self) -> list[str]:
        """One cell per private method that the suite's engine trains, by id.

        The cell of its largest epsilon, calibrated on verified where it can be.
        """
        chosen: dict[str, Cell] = {}
        for cell in self.grid.active:
            if cell.spec.calibration is not None and cell.spec.engine == OWN_ENGINE:
                held = chosen.setdefault(cell.spec.method, cell)
                chosen[cell.spec.method] = max(held, cell, key=_audit_rank)
        return [cell.id for cell in chosen.values()]

    def search_records(self) -> list[Path]:
        """Return the records of all offline searches."""
        return self._search_records(self.grid.searches.values())

    def shown_searches(self) -> list[Path]:
        """Return the searches that the figure shows, by target: at the smallest delta, the first `MOST_SEARCHES`."""
        return self._search_records(self._shown)

    def shown_landscape(self) -> dict[str, Any]:
        """Return what map_space is asked for: the space, the smallest delta, and the targets that the figure shows."""
        first = self._shown[0]
        return {"space": first.space, "delta": first.delta, "epsilon": [spec.epsilon for spec in self._shown]}

    def mapped_wins(self) -> dict[str, Any]:
        """Return what map_wins is asked for."""
        return {"epsilon": 1.0}

    @cached_property
    def _shown(self) -> list[SearchSpec]:
        searches = sorted(self.grid.searches.values(), key=lambda spec: (spec.delta, spec.epsilon))
        return [spec for spec in searches if spec.delta == searches[0].delta][:MOST_SEARCHES]

    def _search_records(self, searches: Iterable[SearchSpec]) -> list[Path]:
        return self._wanted(self.results / "search" / spec.id / "search.json" for spec in searches)


def _audit_rank(cell: Cell) -> tuple[bool, float]:
    """Audit the cell with the largest epsilon, of the run if there is one: a violation shows best there."""
    return cell.spec.calibration == "verified", cell.spec.epsilon or 0.0
