"""From a configuration to the cells of a grid, each with its resolved spec and id.

A cell is one experiment under one method at one target; it is trained in several
repetitions, one run each. A cell that cannot be computed stays in the grid with
the reason. Ids are a readable name and eight digits of a hash over the resolved
*target* spec: what was asked for. What a rule finds is content, not identity;
paths and core counts are neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from lmodp.config import Config, Experiment
from lmodp.data.registry import DATASETS
from lmodp.errors import InvalidValue, nearest
from lmodp.method import Method
from lmodp.records import short_hash
from lmodp.registry import load_methods


@dataclass(frozen=True)
class Item:
    """A thing of the grid that one rule makes once: its id and its spec."""

    id: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One experiment under one method at one target.

    Args:
        id: folder of the cell's records.
        spec: everything that decides the result, repetitions left out.
        repetitions: number of runs.
        runs: id of each repetition.
        mechanism, dataset, model, tokens, activations: ids of what it needs;
            ``activations`` is None where no frozen prefix can be cached.
        skip: why the cell is not computed, or None.
    """

    id: str
    spec: Mapping[str, Any]
    repetitions: int
    runs: tuple[str, ...]
    mechanism: str
    dataset: str
    model: str
    tokens: str
    activations: str | None
    skip: str | None


class Grid:
    """All cells of a configuration, and everything they need, without duplicates."""

    def __init__(self, config: Config):
        self.config = config
        self.methods = load_methods(config.baselines_folder)

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Cells by id, in the order of experiments, methods, calibrations, epsilon and delta."""
        cells = [self._cell(name, *target) for name in self.config.experiments for target in self._targets(name)]
        return {cell.id: cell for cell in cells}

    @cached_property
    def active(self) -> list[Cell]:
        """Cells that are computed."""
        return [cell for cell in self.cells.values() if cell.skip is None]

    @cached_property
    def mechanisms(self) -> dict[str, Item]:
        """Mechanisms of the computed cells by id."""
        items = [self._mechanism(cell.spec) for cell in self.active]
        return {item.id: item for item in items}

    @cached_property
    def searches(self) -> dict[str, Item]:
        """Offline searches that the mechanisms ask for, by id."""
        items = [self.search_of(item.spec) for item in self.mechanisms.values()]
        return {item.id: item for item in items if item is not None}

    @cached_property
    def datasets(self) -> dict[str, Item]:
        """Prepared data sets by id."""
        return self._needed(dataset_item)

    @cached_property
    def models(self) -> dict[str, Item]:
        """Prepared models by id."""
        return self._needed(model_item)

    @cached_property
    def tokens(self) -> dict[str, Item]:
        """Tokenised data sets by id."""
        return self._needed(tokens_item)

    @cached_property
    def activations(self) -> dict[str, Item]:
        """Cached outputs of frozen prefixes by id."""
        return self._needed(activations_item)

    def cell(self, cell_id: str) -> Cell:
        """Return a cell.

        Raises:
            InvalidValue: there is none of that id.
        """
        if cell_id not in self.cells:
            raise InvalidValue(f"cell = {cell_id!r}: is not in grid {self.config.grid!r}. {nearest(cell_id, self.cells)}")
        return self.cells[cell_id]

    def cells_of(self, mechanism_id: str) -> list[Cell]:
        """Return the computed cells that use a mechanism."""
        return [cell for cell in self.active if cell.mechanism == mechanism_id]

    def search_of(self, mechanism_spec: Mapping[str, Any]) -> Item | None:
        """Return the search that a mechanism asks for, or None."""
        if mechanism_spec["search"] is None:
            return None
        spec = mechanism_spec["search"]
        return Item(f"{spec['space']}-{spec['accountant']}-{spec['objective']}-e{spec['epsilon']:g}-{short_hash(spec)}"
                    .replace("/", "_"), spec)

    def _needed(self, item_of: Any) -> dict[str, Item]:
        items = [item_of(cell.spec) for cell in self.active]
        return {item.id: item for item in items if item is not None}

    def _targets(self, name: str) -> list[tuple[Method, str | None, float | None, float | None]]:
        experiment = self.config.experiments[name]
        privacy = experiment.privacy or self.config.privacy
        targets = []
        for method_name in experiment.methods or self.config.methods:
            method = self.methods[method_name]
            if method.private:
                axes = product(privacy.calibrations, privacy.epsilon, privacy.delta)
                targets += [(method, *target) for target in axes]
            else:
                targets.append((method, None, None, None))
        return targets

    def _cell(self, name: str, method: Method, calibration: str | None, epsilon: float | None, delta: float | None) -> Cell:
        experiment = self.config.experiments[name]
        spec = self._spec(name, experiment, method, calibration, epsilon, delta)
        label = _label(name, method.name, calibration, epsilon)
        runs = tuple(f"{label}-r{number:02d}-{short_hash({**spec, 'repetition': number})}"
                     for number in range(experiment.repetitions))
        prefix = activations_item(spec)
        return Cell(
            id=f"{label}-{short_hash(spec)}",
            spec=spec,
            repetitions=experiment.repetitions,
            runs=runs,
            mechanism=self._mechanism(spec).id,
            dataset=dataset_item(spec).id,
            model=model_item(spec).id,
            tokens=tokens_item(spec).id,
            activations=prefix.id if prefix else None,
            skip=method.skip(spec),
        )

    def _spec(self, name: str, experiment: Experiment, method: Method, calibration: str | None,
              epsilon: float | None, delta: float | None) -> dict[str, Any]:
        values = experiment.model_dump(mode="json", exclude={"title", "repetitions", "methods", "privacy"})
        return {
            "experiment": name,
            "method": method.name,
            "calibration": calibration,
            "epsilon": epsilon,
            "delta": delta,
            "clipping": method.clipping,
            "dataset_size": DATASETS[experiment.dataset].train_size,
            "base_seed": self.config.base_seed,
            "threads": self.config.threads,
            **values,
        }

    def _mechanism(self, cell_spec: Mapping[str, Any]) -> Item:
        method = self.methods[cell_spec["method"]]
        spec = {
            "method": method.name,
            "calibration": cell_spec["calibration"],
            "epsilon": cell_spec["epsilon"],
            "delta": cell_spec["delta"],
            "expected_batch_size": cell_spec["training"]["expected_batch_size"],
            "dataset_size": cell_spec["dataset_size"],
            "steps": cell_spec["training"]["steps"],
            "search": self._search_spec(method, cell_spec),
        }
        return Item(f"{_label('', method.name, spec['calibration'], spec['epsilon'])}-{short_hash(spec)}", spec)

    def _search_spec(self, method: Method, cell_spec: Mapping[str, Any]) -> dict[str, Any] | None:
        if not method.needs_search:
            return None
        search = self.config.search.model_dump(mode="json")
        return {**search, "epsilon": cell_spec["epsilon"], "delta": cell_spec["delta"]}


def dataset_item(spec: Mapping[str, Any]) -> Item:
    """Return the data set that a cell trains on."""
    values = {"dataset": spec["dataset"], "source": spec["source"]}
    return Item(f"{spec['dataset']}-{spec['source']}-{short_hash(values)}", values)


def model_item(spec: Mapping[str, Any]) -> Item:
    """Return the pretrained model that a cell starts from."""
    values = {"model": spec["model"], "source": spec["source"]}
    return Item(f"{spec['model']}-{spec['source']}-{short_hash(values)}", values)


def tokens_item(spec: Mapping[str, Any]) -> Item:
    """Return the cell's data set in its model's tokens."""
    values = {name: spec[name] for name in ("dataset", "model", "source", "max_length")}
    return Item(f"{spec['dataset']}-{spec['model']}-{short_hash(values)}", values)


def activations_item(spec: Mapping[str, Any]) -> Item | None:
    """Return the frozen prefix's outputs over the cell's data set, where they can be cached.

    Only a frozen *and* deterministic prefix can: the head and the last layers
    leave one, dropout in it would not be deterministic.
    """
    part = spec["trainable"]
    if not (part == "head" or (isinstance(part, dict) and "last_layers" in part)) or spec["training"]["dropout"] > 0:
        return None
    names = ("dataset", "model", "source", "max_length", "trainable", "pooling", "threads")
    values = {name: spec[name] for name in names}
    part_name = part if isinstance(part, str) else f"last{part['last_layers']}"
    return Item(f"{spec['dataset']}-{spec['model']}-{part_name}-{short_hash(values)}", values)


def _label(experiment: str, method: str, calibration: str | None, epsilon: float | None) -> str:
    parts = [experiment, method, calibration, None if epsilon is None else f"e{epsilon:g}"]
    return "-".join(part for part in parts if part)
