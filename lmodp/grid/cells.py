"""From a configuration to the cells of a grid, each with its resolved spec and id.

A cell that cannot be computed stays in the grid with the reason. Ids are a readable name and eight digits of a hash
over the resolved *target* spec: what was asked for. What a rule finds is content; paths and core counts are neither.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeVar

from lmodp.errors import require_known
from lmodp.grid.sections import Config, Experiment, under
from lmodp.methods.contract import Method, points_of, why_left_out
from lmodp.methods.discovery import load_methods
from lmodp.specs import (
    ActivationsSpec,
    CellSpec,
    CountedSpec,
    DatasetSpec,
    MechanismSpec,
    ModelSpec,
    SearchSpec,
    TokensSpec,
    TrainingSpec,
)
from lmodp.vocabulary import UNTRAINED

NOT_IN_SPEC = {"title", "repetitions", "methods", "privacy", "certify_only", "learning_rates"}
S = TypeVar("S", DatasetSpec, ModelSpec, TokensSpec, ActivationsSpec)


@dataclass(frozen=True)
class Cell:
    """One experiment under one method at one target, trained in several repetitions, one run each.

    Args:
        id: folder of the cell's records.
        spec: everything that decides the result, repetitions left out.
        repetitions, runs: number of runs, and the id of each.
        mechanism, dataset, model, tokens, activations: ids of what it needs; None where no prefix can be cached.
        skip: why the cell is not computed, or None.
        skip_status: "skipped", or "failed" where the method is broken.
    """

    id: str
    spec: CellSpec
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
    """A target of the grid, or one of a method's own published ones; all None for a method without privacy."""

    calibration: str | None = None
    epsilon: float | None = None
    delta: float | None = None
    setting: str | None = None


class Grid:
    """All cells of a configuration, and everything they need, without duplicates."""

    def __init__(self, config: Config):
        self.config = config
        sizes: dict[str, dict[str, int]] = {}  # of the data sets that a method is tried on
        for item in config.experiments.values():
            for name in item.methods or config.methods:
                sizes.setdefault(name, {})[item.dataset] = config.cards[item.dataset].train_size
        found = load_methods(config.methods_folder)
        asked = {name: points_of(method, sizes.get(name, {})) for name, method in found.items()}
        self.methods: dict[str, Method] = {name: method for name, (method, _) in asked.items()}
        self._own_points = {name: points for name, (_, points) in asked.items()}

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
        plans = [name for name, item in self.config.experiments.items() if item.certify_only]
        return [*self.active, *(cell for name in plans for cell in self._cells(name) if cell.skip is None)]

    @cached_property
    def active(self) -> list[Cell]:
        """Cells that are computed."""
        return [cell for cell in self.cells.values() if cell.skip is None]

    @cached_property
    def mechanisms(self) -> dict[str, MechanismSpec]:
        """Mechanisms of the certified cells by id."""
        specs = [self.mechanism_of(cell.spec) for cell in self.certified]
        return {spec.id: spec for spec in specs}

    @cached_property
    def searches(self) -> dict[str, SearchSpec]:
        """Offline searches that the mechanisms ask for, by id."""
        return {spec.search.id: spec.search for spec in self.mechanisms.values() if spec.search is not None}

    @cached_property
    def datasets(self) -> dict[str, DatasetSpec]:
        """Prepared data sets by id."""
        return self._needed(lambda spec: spec.needed_dataset)

    @cached_property
    def models(self) -> dict[str, ModelSpec]:
        """Prepared models by id: those that are trained, and those whose parameters a mechanism counts."""
        counted = [cell.spec.needed_model for cell in self.certified if self.mechanisms[cell.mechanism].released]
        return {**self._needed(lambda spec: spec.needed_model), **{spec.id: spec for spec in counted}}

    @cached_property
    def tokens(self) -> dict[str, TokensSpec]:
        """Tokenized data sets by id."""
        return self._needed(lambda spec: spec.needed_tokens)

    @cached_property
    def activations(self) -> dict[str, ActivationsSpec]:
        """Cached outputs of frozen prefixes by id."""
        return self._needed(activations_of)

    def cell(self, cell_id: str) -> Cell:
        """Return a cell by its id; one that there is not is refused."""
        require_known("cell", cell_id, self.cells, f"is not in grid {self.config.grid!r}")
        return self.cells[cell_id]

    def mechanism_of(self, cell: CellSpec) -> MechanismSpec:
        """Return the mechanism that a cell is trained under."""
        named = self.methods[cell.method]
        method = self.methods.get(named.mechanism_of or named.name, named)
        return MechanismSpec(
            method=method.name,
            calibration=cell.calibration,
            epsilon=cell.epsilon,
            delta=cell.delta,
            setting=cell.setting,
            expected_batch_size=cell.training.expected_batch_size,
            dataset_size=cell.dataset_size,
            steps=cell.training.steps,
            search=self._search_of(method, cell),
            released=counted_of(cell) if method.needs_dimension else None,
        )

    def _search_of(self, method: Method, cell: CellSpec) -> SearchSpec | None:
        if not method.needs_search or cell.setting is not None or cell.epsilon is None or cell.delta is None:
            return None
        return SearchSpec(**self.config.search.model_dump(mode="json"), epsilon=cell.epsilon, delta=cell.delta)

    def _needed(self, spec_of: Callable[[CellSpec], S | None]) -> dict[str, S]:
        specs = [spec_of(cell.spec) for cell in self.active]
        return {spec.id: spec for spec in specs if spec is not None}

    def _cells(self, name: str) -> list[Cell]:
        experiment = self.config.experiments[name]
        asked = [(item, self._points(experiment, item)) for item in experiment.methods or self.config.methods]
        return [self._cell(name, self.methods[method], point) for method, points in asked for point in points]

    def _points(self, experiment: Experiment, name: str) -> list[Point]:
        if not self.methods[name].private:
            return [Point()]
        privacy = experiment.privacy or self.config.privacy
        wanted, found = privacy.published_points, [Point(*target) for target in privacy.targets()]
        for own in self._own_points[name].get(experiment.dataset, ()):
            if wanted == "all" or own.setting in wanted:
                found.append(Point(own.calibration, own.epsilon, own.delta or privacy.delta[0], own.setting))
        return found

    def _cell(self, name: str, method: Method, point: Point) -> Cell:
        experiment = self.config.experiments[name]
        spec = self._spec(name, experiment, method, point)
        prefix, repetitions = activations_of(spec), under(experiment.repetitions, point.calibration)
        architecture = self.config.model_cards[experiment.model].architecture
        left_out = why_left_out(method, spec, task=spec.card.task, architecture=architecture)
        return Cell(
            id=spec.id,
            spec=spec,
            repetitions=repetitions,
            runs=tuple(map(spec.run_id, range(repetitions))),
            mechanism=self.mechanism_of(spec).id,
            dataset=spec.needed_dataset.id,
            model=spec.needed_model.id,
            tokens=spec.needed_tokens.id,
            activations=prefix.id if prefix else None,
            skip=left_out.reason if left_out else None,
            skip_status=left_out.status if left_out else "skipped",
        )

    def _spec(self, name: str, experiment: Experiment, method: Method, point: Point) -> CellSpec:
        values = experiment.model_dump(mode="json", exclude=NOT_IN_SPEC)
        training = values.pop("training")
        own_model, _ = self.config.own_models.get(experiment.model, (None, None))
        if experiment.dataset in self.config.datasets:  # says itself where it is; source is then the model's alone
            values["model_source"] = values["model_source"] or values["source"]
            values["source"] = "hub" if self.config.datasets[experiment.dataset].repository else "local"
        if own_model is not None:
            values["model_source"] = "hub" if self.config.models[experiment.model].revision else "local"
        if values["pooling"] is None:
            values["pooling"] = self._pooling(experiment)
        if method.name in experiment.learning_rates:
            training["learning_rate"] = experiment.learning_rates[method.name]
        return CellSpec(
            experiment=name,
            method=method.name,
            **asdict(point),
            clipping=method.clipping,
            engine=method.engine,
            after_noise=method.after_noise,
            dataset_size=self.config.cards[experiment.dataset].train_size - experiment.training.held_out,
            own_data=self.config.own_data.get(experiment.dataset),
            own_model=own_model,
            base_seed=self.config.base_seed,
            threads=self.config.threads,
            privacy_unit=self.config.privacy_unit,
            adjacency=self.config.adjacency,
            randomness=self.config.randomness,
            **{**values, "trainable": trained_part(method, values["trainable"])},
            training=TrainingSpec(**training),
        )

    def _pooling(self, experiment: Experiment) -> str:
        model = self.config.model_cards[experiment.model]
        if experiment.head is not None:
            return "last" if model.generates else "mask"
        classifies = self.config.cards[experiment.dataset].task == "classification"
        return model.native_pooling if classifies else "first"


def activations_of(spec: CellSpec) -> ActivationsSpec | None:
    """Return the frozen prefix's outputs over the cell's data set, where they can be cached.

    Only a frozen *and* deterministic prefix can: the head and the last layers leave one, if there is no dropout.
    """
    part = "head" if spec.trainable == UNTRAINED else spec.trainable  # the same outputs
    leaves_one = part == "head" or (isinstance(part, Mapping) and "last_layers" in part)
    if not leaves_one or spec.training.dropout > 0 or spec.card.task != "classification":
        return None
    return ActivationsSpec(**spec.needed_tokens.to_dict(), trainable=part, pooling=spec.pooling, threads=spec.threads)


def counted_of(spec: CellSpec) -> CountedSpec:
    """Return what decides how many coordinates a step of a cell releases."""
    shared = {name: getattr(spec, name) for name in ("dataset", "trainable", "head", "own_data")}
    return CountedSpec(model=spec.needed_model.id, **shared)


def trained_part(method: Method, part: Any) -> Any:
    """Return what a method trains: its own part, with the experiment's options where the kind is the same."""
    own = method.trainable
    if own is None or (isinstance(own, Mapping) and isinstance(part, Mapping) and set(own) == set(part)):
        return part
    return own
