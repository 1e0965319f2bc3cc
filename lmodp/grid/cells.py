"""From a configuration to the cells of a grid, each with its resolved spec and id.

A cell is one experiment under one method at one target; it is trained in several
repetitions, one run each. A cell that cannot be computed stays in the grid with
the reason. Ids are a readable name and eight digits of a hash over the resolved
*target* spec: what was asked for. What a rule finds is content, not identity;
paths and core counts are neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Any

from lmodp.data.cards import DATASETS
from lmodp.errors import InvalidValue, nearest
from lmodp.grid.config import Config, Experiment
from lmodp.methods.contract import Method, points_of, why_left_out
from lmodp.methods.discovery import load_methods
from lmodp.models.cards import MODELS
from lmodp.records.record import short_hash


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
        skip_status: "skipped", or "failed" where the method is broken.
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
    skip_status: str = "skipped"


@dataclass(frozen=True)
class Point:
    """What a method is asked to reach: a target of the grid, or one of its own published ones.

    All fields are None for a method without privacy.
    """

    calibration: str | None = None
    epsilon: float | None = None
    delta: float | None = None
    setting: str | None = None


class Grid:
    """All cells of a configuration, and everything they need, without duplicates."""

    def __init__(self, config: Config):
        self.config = config
        self.methods = load_methods(config.methods_folder)

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Cells by id, in the order of experiments, methods, calibrations, epsilon and delta."""
        return {cell.id: cell for name in self.trained for cell in self._cells(name)}

    @cached_property
    def trained(self) -> list[str]:
        """Experiments that train something."""
        return [name for name, item in self.config.experiments.items() if not item.certify_only]

    @cached_property
    def certified(self) -> list[Cell]:
        """Cells whose mechanism is certified: those that are computed, and those of plans that are only certified."""
        plans = [
            cell for name, item in self.config.experiments.items() if item.certify_only for cell in self._cells(name)
        ]
        return [*self.active, *(cell for cell in plans if cell.skip is None)]

    def _cells(self, name: str) -> list[Cell]:
        return [self._cell(name, *target) for target in self._targets(name)]

    @cached_property
    def active(self) -> list[Cell]:
        """Cells that are computed."""
        return [cell for cell in self.cells.values() if cell.skip is None]

    @cached_property
    def mechanisms(self) -> dict[str, Item]:
        """Mechanisms of the certified cells by id."""
        items = [self._mechanism(cell.spec) for cell in self.certified]
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
        """Prepared models by id: those that are trained, and those whose parameters a mechanism counts."""
        counted = [model_item(cell.spec) for cell in self.certified if self.mechanisms[cell.mechanism].spec["released"]]
        return {**self._needed(model_item), **{item.id: item for item in counted}}

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
            raise InvalidValue(
                f"cell = {cell_id!r}: is not in grid {self.config.grid!r}. {nearest(cell_id, self.cells)}"
            )
        return self.cells[cell_id]

    def cells_of(self, mechanism_id: str) -> list[Cell]:
        """Return the computed cells that use a mechanism."""
        return [cell for cell in self.active if cell.mechanism == mechanism_id]

    def search_of(self, mechanism_spec: Mapping[str, Any]) -> Item | None:
        """Return the search that a mechanism asks for, or None."""
        if mechanism_spec["search"] is None:
            return None
        spec = mechanism_spec["search"]
        return Item(
            f"{spec['space']}-{spec['accountant']}-{spec['objective']}-e{spec['epsilon']:g}-{short_hash(spec)}".replace(
                "/", "_"
            ),
            spec,
        )

    def _needed(self, item_of: Any) -> dict[str, Item]:
        items = [item_of(cell.spec) for cell in self.active]
        return {item.id: item for item in items if item is not None}

    def _targets(self, name: str) -> list[tuple[Method, Point]]:
        experiment = self.config.experiments[name]
        methods = experiment.methods or self.config.methods
        return [(self.methods[method], point) for method in methods for point in self._points(experiment, method)]

    def _points(self, experiment: Experiment, name: str) -> list[Point]:
        size = DATASETS[experiment.dataset].train_size
        self.methods[name], own = points_of(self.methods[name], dataset=experiment.dataset, dataset_size=size)
        if not self.methods[name].private:
            return [Point()]
        privacy = experiment.privacy or self.config.privacy
        wanted = privacy.published_points
        return [
            *(Point(*target) for target in product(privacy.calibrations, privacy.epsilon, privacy.delta)),
            *(
                Point(point.calibration, point.epsilon, point.delta or privacy.delta[0], point.setting)
                for point in own
                if wanted == "all" or point.setting in wanted
            ),
        ]

    def _cell(self, name: str, method: Method, point: Point) -> Cell:
        experiment = self.config.experiments[name]
        spec = self._spec(name, experiment, method, point)
        label = _label(name, method.name, point.calibration, point.epsilon)
        runs = tuple(
            f"{label}-r{number:02d}-{short_hash({**spec, 'repetition': number})}"
            for number in range(experiment.repetitions)
        )
        prefix = activations_item(spec)
        left_out = why_left_out(
            method, spec, task=DATASETS[experiment.dataset].task, architecture=MODELS[experiment.model].architecture
        )
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
            skip=left_out.reason if left_out else None,
            skip_status=left_out.status if left_out else "skipped",
        )

    def _spec(self, name: str, experiment: Experiment, method: Method, point: Point) -> dict[str, Any]:
        values = experiment.model_dump(
            mode="json", exclude={"title", "repetitions", "methods", "privacy", "certify_only", "learning_rates"}
        )
        if method.name in experiment.learning_rates:
            values["training"]["learning_rate"] = experiment.learning_rates[method.name]
        return {
            "experiment": name,
            "method": method.name,
            **asdict(point),
            "clipping": method.clipping,
            "engine": method.engine,
            "dataset_size": DATASETS[experiment.dataset].train_size,
            "base_seed": self.config.base_seed,
            "threads": self.config.threads,
            **values,
            "trainable": trained_part(method, values["trainable"]),
        }

    def _mechanism(self, cell_spec: Mapping[str, Any]) -> Item:
        named = self.methods[cell_spec["method"]]
        method = self.methods.get(named.mechanism_of or named.name, named)
        spec = {
            "method": method.name,
            "calibration": cell_spec["calibration"],
            "epsilon": cell_spec["epsilon"],
            "delta": cell_spec["delta"],
            "setting": cell_spec["setting"],
            "expected_batch_size": cell_spec["training"]["expected_batch_size"],
            "dataset_size": cell_spec["dataset_size"],
            "steps": cell_spec["training"]["steps"],
            "search": self._search_spec(method, cell_spec),
            "released": _released(cell_spec) if method.needs_dimension else None,
        }
        return Item(f"{_label('', method.name, spec['calibration'], spec['epsilon'])}-{short_hash(spec)}", spec)

    def _search_spec(self, method: Method, cell_spec: Mapping[str, Any]) -> dict[str, Any] | None:
        if not method.needs_search or cell_spec["setting"] is not None:
            return None
        search = self.config.search.model_dump(mode="json")
        return {**search, "epsilon": cell_spec["epsilon"], "delta": cell_spec["delta"]}


def dataset_item(spec: Mapping[str, Any]) -> Item:
    """Return the data set that a cell trains on."""
    values = {"dataset": spec["dataset"], "source": spec["source"]}
    return Item(f"{spec['dataset']}-{spec['source']}-{short_hash(values)}", values)


def model_item(spec: Mapping[str, Any]) -> Item:
    """Return the pretrained model that a cell starts from."""
    values = {"model": spec["model"], "source": spec["model_source"] or spec["source"], "layers": spec["layers"]}
    return Item(f"{values['model']}-{values['source']}-{short_hash(values)}", values)


def tokens_item(spec: Mapping[str, Any]) -> Item:
    """Return the cell's data set in its model's tokens."""
    values = {name: spec[name] for name in ("dataset", "model", "source", "model_source", "layers", "max_length")}
    return Item(f"{spec['dataset']}-{spec['model']}-{short_hash(values)}", values)


def activations_item(spec: Mapping[str, Any]) -> Item | None:
    """Return the frozen prefix's outputs over the cell's data set, where they can be cached.

    Only a frozen *and* deterministic prefix can: the head and the last layers
    leave one, dropout in it would not be deterministic.
    """
    part = spec["trainable"]
    if not (part == "head" or (isinstance(part, dict) and "last_layers" in part)) or spec["training"]["dropout"] > 0:
        return None
    if DATASETS[spec["dataset"]].task != "classification":
        return None
    names = ("dataset", "model", "source", "model_source", "layers", "max_length", "trainable", "pooling", "threads")
    values = {name: spec[name] for name in names}
    part_name = part if isinstance(part, str) else f"last{part['last_layers']}"
    return Item(f"{spec['dataset']}-{spec['model']}-{part_name}-{short_hash(values)}", values)


def trained_part(method: Method, part: Any) -> Any:
    """Return what a method trains: its own part, with the experiment's options where the kind is the same."""
    own = method.trainable
    if own is None or (isinstance(own, Mapping) and isinstance(part, Mapping) and set(own) == set(part)):
        return part
    return own


def _released(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how many numbers a step releases."""
    return {"model": model_item(spec).id, "dataset": spec["dataset"], "trainable": spec["trainable"]}


def _label(experiment: str, method: str, calibration: str | None, epsilon: float | None) -> str:
    parts = [experiment, method, calibration, None if epsilon is None else f"e{epsilon:g}"]
    return "-".join(part for part in parts if part)
