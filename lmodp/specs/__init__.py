"""What was asked for, as types: the specs of cells, of mechanisms and of everything that a grid makes once.

A spec decides an id, a record remembers it, and plan and target of a mechanism are built from it. The id of a thing,
which names its folder, is a readable name and eight digits of a hash over its spec (`Spec.identity`). Fields that came
after the first release do not enter the hash at their defaults, so that ids never change by a new option.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any, Self

from lmodp.mechanisms import Noise, Releases
from lmodp.plan import Plan
from lmodp.records.record import short_hash
from lmodp.specs.base import LATER, OPTIONAL, OfDataset, OfTarget, Spec, label
from lmodp.vocabulary import ADJACENCY, PRIVACY_UNIT


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec, OfDataset):
    """A prepared data set: its name and where it comes from."""

    dataset: str
    source: str
    own_data: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)

    @property
    def id(self) -> str:
        """Folder of the data set."""
        return f"{self.dataset}-{self.source}-{self.digits}"


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """A prepared model: its name, where it comes from, and how many of its layers are kept (None for all).

    ``own_model`` is what a model of the user's own is (`lmodp.models.own.identity_of`); None for a known one.
    """

    model: str
    source: str
    layers: int | None
    own_model: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)

    @property
    def id(self) -> str:
        """Folder of the model."""
        return f"{self.model}-{self.source}-{self.digits}"


@dataclass(frozen=True, kw_only=True)
class TokensSpec(Spec, OfDataset):
    """A data set in the tokens of one model, at most ``max_length`` tokens per example."""

    dataset: str
    model: str
    source: str
    model_source: str | None
    layers: int | None
    max_length: int
    head: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)
    own_data: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)
    own_model: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)

    @property
    def id(self) -> str:
        """Folder of the tokens."""
        return f"{self.dataset}-{self.model}-{self.digits}"

    @property
    def needed_dataset(self) -> DatasetSpec:
        """The data set that is tokenized."""
        return DatasetSpec(dataset=self.dataset, source=self.source, own_data=self.own_data)

    @property
    def needed_model(self) -> ModelSpec:
        """The model whose tokenizer is used."""
        source = self.model_source or self.source
        return ModelSpec(model=self.model, source=source, layers=self.layers, own_model=self.own_model)


@dataclass(frozen=True, kw_only=True)
class TaskSpec(OfDataset):
    """What a task needs to know: which data, which part is trained, and how a batch is computed.

    Args:
        dataset, own_data: see `OfDataset`.
        trainable: the trained part, see `lmodp.models.trainable`.
        pooling: how a sentence becomes one vector: "first", "mean" or "last".
        dropout, precision, activation_checkpointing: as in the configuration's section ``training``.
        batch_size: examples per forward pass when a model is scored.
        generation: settings of beam search; None for the published ones.
        head: ``prompt`` and ``words`` of a head of label words (`lmodp.data.prompts`); None for a new head.
    """

    dataset: str
    trainable: Any
    pooling: str = "first"
    dropout: float = 0.0
    precision: str = "float32"
    batch_size: int = 64
    activation_checkpointing: bool = False
    generation: Mapping[str, Any] | None = None
    head: Mapping[str, Any] | None = None
    own_data: Mapping[str, Any] | None = None


class OfTokens(OfDataset):
    """What is made from a data set in the tokens of one model, and starts from that model."""

    @property
    def needed_tokens(self) -> TokensSpec:
        """The tokens that it reads."""
        return TokensSpec(**{item.name: getattr(self, item.name) for item in fields(TokensSpec)})

    @property
    def needed_model(self) -> ModelSpec:
        """The prepared model that it starts from."""
        return self.needed_tokens.needed_model


@dataclass(frozen=True, kw_only=True)
class ActivationsSpec(OfTokens, TokensSpec):
    """The outputs of a frozen prefix over one data set."""

    trainable: Any
    pooling: str
    threads: int

    @property
    def id(self) -> str:
        """Folder of the activations."""
        part = self.trainable if isinstance(self.trainable, str) else f"last{self.trainable['last_layers']}"
        return f"{self.dataset}-{self.model}-{part}-{self.digits}"

    @property
    def task(self) -> TaskSpec:
        """The task that splits the model into prefix and trained part; only a prefix without dropout is cached."""
        names = ("dataset", "trainable", "pooling", "head", "own_data")
        return TaskSpec(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class SearchSpec(Spec):
    """One offline noise search (see `lmodp.search.grid_search.find_noise`)."""

    space: str
    accountant: str
    objective: str
    gamma: float
    epsilon: float
    delta: float

    @property
    def id(self) -> str:
        """Folder of the search."""
        name = f"{self.space}-{self.accountant}-{self.objective}-e{self.epsilon:g}-{self.digits}"
        return name.replace("/", "_")


@dataclass(frozen=True, kw_only=True)
class CountedSpec(Spec, OfDataset):
    """The model whose trained parameters a method counts: the number of coordinates that a step releases."""

    model: str
    dataset: str
    trainable: Any
    head: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)
    own_data: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class MechanismSpec(Spec, OfTarget):
    """A mechanism that is calibrated and certified once.

    Args:
        method: whose mechanism it is.
        calibration: "claimed" or "verified"; None for a method without privacy.
        epsilon, delta, setting: the target, see `epsilon_scope`, or the method's own published setting that is it.
        expected_batch_size, dataset_size, steps: B, N and T; the sampling rate is B / N.
        search, released: the search that the method asks for, and the model whose parameters it counts, if any.
    """

    method: str
    calibration: str | None
    epsilon: float | None
    delta: float | None
    setting: str | None
    expected_batch_size: float
    dataset_size: int
    steps: int
    search: SearchSpec | None
    released: CountedSpec | None

    @property
    def id(self) -> str:
        """Folder of the mechanism."""
        return f"{label('', self.method, self.calibration, self.epsilon)}-{self.digits}"

    @property
    def sampling_rate(self) -> float:
        """The rate q = B / N."""
        return self.expected_batch_size / self.dataset_size

    def plan(self, noise: Noise | None, releases: Mapping[str, Any] | None = None) -> Plan:
        """Return the plan that is certified; the certificate holds at every clip norm.

        Noise and releases are what the method answered; see `lmodp.mechanisms.released`.
        """
        return Plan.for_batches(
            expected_batch_size=self.expected_batch_size,
            dataset_size=self.dataset_size,
            steps=self.steps,
            delta=self.delta,
            noise=noise,
            releases=Releases.from_dict(releases),
        )


@dataclass(frozen=True, kw_only=True)
class TrainingSpec(Spec):
    """How a run is trained; the fields are those of the configuration's section ``training``."""

    expected_batch_size: float
    steps: int
    clip_norm: float = 1.0
    optimizer: str = "adam"
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    schedule: str = "constant"
    micro_batch_size: int = 256
    precision: str = "float32"
    dropout: float = 0.0
    tuning: Mapping[str, Any] | None = None
    evaluate_every: int | None = None
    checkpoint_every: int | None = None
    activation_checkpointing: bool = field(default=False, metadata=OPTIONAL)

    @property
    def held_out(self) -> int:
        """Number of training examples that choose among candidates, and that no run trains on."""
        return (self.tuning or {}).get("held_out") or 0

    @property
    def candidates(self) -> list[dict[str, float]]:
        """Pairs that every method tries, the first the configuration's own where nothing is searched."""
        tuning = self.tuning or {}
        rates = tuning.get("learning_rate") or [self.learning_rate]
        norms = tuning.get("clip_norm") or [self.clip_norm]
        return [{"learning_rate": rate, "clip_norm": norm} for rate, norm in product(rates, norms)]

    @property
    def trial_steps(self) -> int:
        """Steps of the one run that tries a candidate."""
        return min(self.steps, (self.tuning or {}).get("steps") or self.steps)


@dataclass(frozen=True, kw_only=True)
class CellSpec(Spec, OfTokens, OfTarget):
    """Everything that decides the result of a cell; its repetitions differ in their seeds alone.

    Args:
        experiment: key in the configuration.
        method, calibration, epsilon, delta, setting: see `MechanismSpec`.
        clipping: "flat", "automatic" or "none".
        after_noise: what the method does with the noisy gradient, in a few words; None for nothing of its own.
        engine: what trains it; "lmodp" for the suite's own engine.
        dataset_size: N, without the examples that tuning holds out.
        base_seed, threads: of all random numbers, and of one run.
        dataset, model, source, model_source, layers: what is trained, and where data and model come from.
        trainable, pooling, generation, head: see `TaskSpec`.
        privacy_unit, adjacency: who is protected, and which data sets are neighbours.
        randomness: "seeded" for a benchmark; "entropy" for a release.
        public_scores: whether the scored split is public, so that a release may tell its scores.
        own_data, own_model: see `OfDataset` and `ModelSpec`.
    """

    experiment: str
    method: str
    calibration: str | None
    epsilon: float | None
    delta: float | None
    setting: str | None
    clipping: str
    engine: str
    dataset_size: int
    base_seed: int
    threads: int
    dataset: str
    model: str
    source: str
    model_source: str | None
    layers: int | None
    trainable: Any
    pooling: str
    max_length: int
    training: TrainingSpec
    generation: Mapping[str, Any] | None
    privacy_unit: str = field(default=PRIVACY_UNIT, metadata=LATER)
    adjacency: str = field(default=ADJACENCY, metadata=LATER)
    randomness: str = field(default="seeded", metadata=LATER)
    public_scores: bool = field(default=False, metadata=LATER)
    after_noise: str | None = field(default=None, metadata=OPTIONAL)
    head: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)
    own_data: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)
    own_model: Mapping[str, Any] | None = field(default=None, metadata=OPTIONAL)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the spec written by `to_dict`."""
        return super().from_dict({**values, "training": TrainingSpec.from_dict(values["training"])})

    @property
    def id(self) -> str:
        """Folder of the cell."""
        return f"{self.label}-{self.digits}"

    @property
    def label(self) -> str:
        """The readable part of the id."""
        return label(self.experiment, self.method, self.calibration, self.epsilon)

    def run_id(self, repetition: int) -> str:
        """Return the id of one repetition."""
        return f"{self.label}-r{repetition:02d}-{short_hash({**self.identity(), 'repetition': repetition})}"

    def plan(self, noise: Noise | None, releases: Mapping[str, Any] | None = None) -> Plan:
        """Return the plan of the cell's runs; noise and releases as in `MechanismSpec.plan`."""
        return Plan.for_batches(
            expected_batch_size=self.training.expected_batch_size,
            dataset_size=self.dataset_size,
            steps=self.training.steps,
            delta=self.delta,
            noise=noise,
            releases=Releases.from_dict(releases),
            clipping=self.clipping,
            clip_norm=math.inf if self.clipping == "none" else self.training.clip_norm,
            privacy_unit=self.privacy_unit,
            adjacency=self.adjacency,
        )

    def tuned(self, chosen: Mapping[str, Any]) -> Self:
        """Return the spec with the learning rate and the clip norm that were chosen."""
        return replace(self, training=replace(self.training, **chosen))

    @property
    def task(self) -> TaskSpec:
        """What the cell's task needs to know."""
        own = ("dataset", "trainable", "pooling", "generation", "head", "own_data")
        of_training = ("dropout", "precision", "activation_checkpointing")
        return TaskSpec(
            **{name: getattr(self, name) for name in own},
            **{name: getattr(self.training, name) for name in of_training},
            batch_size=self.training.micro_batch_size,
        )

    @property
    def needed_dataset(self) -> DatasetSpec:
        """The data set that the cell trains on."""
        return self.needed_tokens.needed_dataset
