"""The sections of a grid's configuration: every key with its type, its rule and its default."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from lmodp.data.cards import DATASETS, DatasetCard, card_of
from lmodp.data.source_settings import OwnDataset, OwnModel, SourceSettings
from lmodp.grid import own
from lmodp.models.cards import MODELS, ModelCard

T = TypeVar("T")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)")


def _number(value: Any) -> Any:
    """Read ``1e-10`` as a number: YAML 1.1, which PyYAML and Snakemake read, takes it for text."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _whole(value: Any) -> Any:
    """Read ``2e4`` as a whole number."""
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _distinct(values: list[T]) -> list[T]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"holds {value!r} twice")
    return values


def _path(text: str) -> str:
    if "\0" in text or any(len(part.encode(errors="replace")) > 255 for part in text.split("/")):
        raise ValueError("is no path: a name in it has more than 255 bytes, or holds the character 0")
    return text


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0, le=1e9)]
Rate = Annotated[Number, Field(gt=0, le=1e3)]
Probability = Annotated[Number, Field(gt=0, lt=1)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1, le=10**9)]
Natural = Annotated[Whole, Field(ge=0, le=10**18)]
Trials = Annotated[Whole, Field(ge=100, le=10**8)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Label = Annotated[str, Field(min_length=1, max_length=64)]  # of what others name, such as methods
PathText = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_path)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Source = Literal["embedded", "local", "hub"]
Calibration = Literal["claimed", "verified"]
Several = Annotated[list[T], Field(min_length=1, max_length=1000), AfterValidator(_distinct)]
# One value, or one for each calibration.
ByCalibration = Annotated[
    Annotated[T, Tag("[one]")] | Annotated[dict[Calibration, T], Tag("[each]")],
    Discriminator(lambda value: "[each]" if isinstance(value, dict) else "[one]"),
]


class Section(BaseModel):
    """A section of the configuration: unknown keys are faults, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Privacy(Section):
    """The privacy targets: every epsilon at every delta under every calibration."""

    epsilon: ByCalibration[Several[Positive]] = Field(
        ..., description="one list, or one list for each calibration: {claimed: [3], verified: [0.3, 3]}"
    )
    delta: Several[Probability] = [1e-10]
    calibrations: Several[Calibration] = ["claimed", "verified"]
    published_points: Literal["all"] | list[str] = Field(
        "all", description="settings of the methods' own published points, which run in addition to these targets"
    )

    def targets(self) -> list[tuple[Calibration, float, float]]:
        """Return every target as (calibration, epsilon, delta)."""
        return [(kind, *pair) for kind in self.calibrations for pair in product(under(self.epsilon, kind), self.delta)]


def under(value: Any, calibration: str | None) -> Any:
    """Return what holds under a calibration; without one, as for a method without privacy, the largest value."""
    if not isinstance(value, Mapping):
        return value
    return max(value.values()) if calibration is None else value[calibration]


class Search(Section):
    """The offline noise search, in addition to the published settings."""

    space: PathText = Field("published", description="'published', or the path of a space file")
    accountant: Literal["claimed", "paper_bound", "verified"] = "claimed"
    objective: Literal["epsilon", "usefulness", "std"] = "epsilon"
    gamma: Positive = 0.9


class Audit(Section):
    """Claims tried by experiment: for every mechanism, and in one run per method."""

    trials: Trials = Field(400_000, description="transcripts per mechanism, half of them with the canary")
    sampler_trials: Trials = Field(
        20_000, description="transcripts in which the device's sampler draws every coordinate"
    )
    coordinates: Count = Field(16, description="coordinates that the worst-case gradient is spread over")
    canaries: Annotated[Whole, Field(ge=10, le=10**6)] = Field(1000, description="canaries of the audited run")
    confidence: Probability = 0.95


class Compare(Section):
    """The two methods that the report's question names."""

    asked: Name = Field("lmo_dp", description="the method in question; methods whose noise_of names it count with it")
    standard: Name = Field("gaussian", description="the method that it and all others are compared with")


class LastLayers(Section):
    """Train the last ``last_layers`` layers of the encoder and the head."""

    last_layers: Count


class Lora(Section):
    """Low-rank adapters (Hu et al. 2022)."""

    rank: Count = 8
    alpha: Positive = 16.0
    targets: list[str] | None = Field(
        None, description="module names; null takes the architecture's attention projections"
    )


class LoraPart(Section):
    """Train low-rank adapters and, for classification, the head."""

    lora: Lora


def _kind_of_part(value: Any) -> str:
    """The one branch of `Trainable` whose faults are of interest."""
    for kind, key in (("[layers]", "last_layers"), ("[adapters]", "lora")):
        if hasattr(value, key) or (isinstance(value, Mapping) and key in value):
            return kind
    return "[name]"


Trainable = Annotated[
    Annotated[Literal["full", "head", "bitfit"], Tag("[name]")]
    | Annotated[LastLayers, Tag("[layers]")]
    | Annotated[LoraPart, Tag("[adapters]")],
    Discriminator(_kind_of_part),
]


class Tuning(Section):
    """The choice of hyper-parameters for every method: each pair is tried once, the best on unseen examples wins.

    The privacy cost of tuning is not accounted for, for any method.
    """

    learning_rate: Several[Rate] | None = Field(None, description="null for the experiment's")
    clip_norm: Several[Positive] | None = Field(None, description="null for the experiment's")
    held_out: Count | None = Field(
        None, description="training examples that choose and that N leaves out; null for the validation split"
    )
    steps: Count | None = Field(None, description="steps of a trial, with the noise of the whole run; null for all")


class Training(Section):
    """How a run is trained. The sampling rate is expected_batch_size over the data set's size."""

    expected_batch_size: Positive
    steps: Count
    clip_norm: Positive = 1.0
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Rate = 5e-4
    weight_decay: Annotated[Number, Field(ge=0, le=1e3)] = 0.0
    schedule: Literal["constant", "linear"] = "constant"
    micro_batch_size: Count = 256
    precision: Literal["float32", "bfloat16"] = "float32"
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    tuning: Tuning | None = Field(None, description="null for one setting for all methods")
    evaluate_every: Count | None = None
    checkpoint_every: Count | None = None
    activation_checkpointing: bool = Field(
        False,
        description="compute each block again in the backward pass: a fifth less memory where adapters are trained",
    )

    @property
    def held_out(self) -> int:
        """Number of training examples that no run trains on."""
        return (self.tuning.held_out if self.tuning else None) or 0


class Generation(Section):
    """Beam search of table-to-text experiments (see ``lmodp.tasks.decoding``)."""

    num_beams: Count = 5
    max_new_tokens: Count = 100
    min_new_tokens: Natural = 0
    length_penalty: Number = 1.0
    no_repeat_ngram_size: Natural = 0
    batch_size: Count = 32
    records: Count | None = Field(None, description="how many distinct records are scored; null for all")


class Head(Section):
    """A classifier by label words in place of a new head."""

    prompt: Annotated[str, Field(min_length=1, max_length=10_000)] = Field(
        description="holds {text}, for pairs {text2}, and for a masked model {mask}"
    )
    words: Several[Label] = Field(description="one per class, in the order of the classes, each one token of the model")


class Experiment(Section):
    """One comparison: a data set, a model and a trainable part, over methods and targets."""

    title: str
    dataset: str
    model: str
    source: Source = Field("embedded", description="where the data set comes from, unless it is one of your own")
    model_source: Source | None = Field(None, description="where the model comes from; null for the data set's source")
    layers: Count | None = Field(None, description="use only the model's first layers, if it can be cut; null for all")
    trainable: Trainable = "full"
    pooling: Literal["first", "mean", "last"] | None = Field(
        None, description="how a text becomes one vector; null for the way of the model's own class in transformers"
    )
    head: Head | None = Field(None, description="label words in place of a new head; the prompt decides the pooling")
    max_length: Annotated[Count, Field(ge=3)] = 64
    repetitions: ByCalibration[Count] = Field(1, description="one number, or one for each calibration")
    certify_only: bool = Field(False, description="certify and audit the mechanisms of this plan; train nothing")
    training: Training
    generation: Generation | None = Field(None, description="table-to-text only; null for the published search")
    methods: Several[Label] | None = Field(None, description="null takes the grid's methods")
    public_scores: bool = Field(
        False, description="the scored split is public: its scores are published under randomness: entropy as well"
    )
    learning_rates: dict[str, Rate] = Field(
        {}, description="for methods that need another rate than training.learning_rate"
    )
    privacy: Privacy | None = Field(None, description="null takes the grid's targets")


class Dataset(Section):
    """A data set of your own: tables from files, or from a repository of a hub."""

    task: Literal["classification", "table_to_text"]
    files: dict[Literal["train", "validation", "test"], PathText] = Field(
        description="file of each part: .csv, .tsv, .json(l) or .parquet, .gz behind it or not; below data_root or in "
        "the repository"
    )
    repository: str | None = Field(None, alias="from", description="id of a hub's repository; null for local files")
    revision: Commit | None = Field(None, description="its commit")
    text: str | Annotated[list[str], Field(min_length=1, max_length=2)] | None = Field(
        None, description="one or two columns with the text (classification)"
    )
    label: str | None = Field(None, description="column with the class, a name or a whole number (classification)")
    source: str | None = Field(None, description="column with the record (table-to-text)")
    target: str | None = Field(None, description="column with its sentence (table-to-text)")
    group: str | None = Field(None, description="column whose equal values mark references of one record")
    split_off: dict[Literal["test", "validation"], Probability] = Field(
        {}, description="share of the training file for a part without a file; the default is 0.1 for a test part"
    )
    seed: Natural = Field(0, description="of the choice of the rows that are split off")

    def settings(self, name: str) -> OwnDataset:
        """How it is read."""
        text = [self.text] if isinstance(self.text, str) else self.text or []
        return OwnDataset(name=name, **{**self.model_dump(), "text": text})


class Model(Section):
    """A model of your own: a folder that transformers can load, or a hub's repository."""

    place: PathText = Field(alias="from", description="folder, below data_root or not, or id of a hub's repository")
    revision: Commit | None = Field(None, description="commit of the repository; null for a folder")


class Machine(Section):
    """What one node offers: a job that cannot fit is refused before anything runs. Nothing of it enters an id."""

    memory_gib: Positive | None = Field(None, description="memory of the largest node; null for any")
    gpu_memory_gib: Positive | None = Field(None, description="memory of one GPU; null for any")
    hours: Positive | None = Field(None, description="the longest time that a job may take; null for any")
    disk_gib: Positive | None = Field(None, description="space for the whole cache; null for any")
    rate: Annotated[Number, Field(gt=0, le=1e18)] | None = Field(
        None,
        description="operations per second of what trains, one core or one GPU; null: `lmodp plan` measures a core",
    )


class Config(Section):
    """A whole grid."""

    grid: Name
    title: str = ""
    base_seed: Natural = 0
    threads: Count = 1
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="what trains; 'auto': a GPU where a job finds one; 'cuda': every job that trains asks for one. A "
        "record says what trained it; no id does",
    )
    processes: Count = Field(
        1, description="how many train one run together, on one machine; sums then differ by the order of additions"
    )
    cells_per_gpu: Count = Field(1, description="how many jobs may share a GPU")
    machine: Machine = Machine()
    privacy_unit: Literal["example"] = Field("example", description="who is protected; nothing else is built")
    adjacency: Literal["add_or_remove_one"] = Field(
        "add_or_remove_one", description="which data sets are neighbours; nothing else is built"
    )
    randomness: Literal["seeded", "entropy"] = Field(
        "seeded",
        description="'seeded': a benchmark, which anybody can repeat and which protects nobody; 'entropy': a release, "
        "whose keys come from the system and are kept nowhere",
    )
    certificates: Literal["quick", "full"] = Field(
        "quick", description="'quick': half a second a mechanism; 'full': the narrowest proven interval, up to a minute"
    )
    keep_records: bool = Field(
        False, description="keep records that other versions of the code made; tables and figures are always made anew"
    )
    unfinished: Literal["compute", "pending"] = Field(
        "compute", description="compute what has no records yet, or report it as pending"
    )
    results_root: PathText = "results"
    cache_root: PathText = ".cache"
    data_root: PathText | None = Field(None, description="folder of local files; null takes LMODP_DATA_ROOT")
    local_layout: Literal["plain", "official"] = Field("plain", description="names of the files under data_root")
    local_files: dict[str, dict[str, PathText]] = Field({}, description="data set to split to path, if a name differs")
    local_models: dict[str, PathText] = Field(
        {}, description="model to folder under data_root; the default is models/NAME"
    )
    hub_revisions: dict[str, Commit] = Field({}, description="data set or model to commit, in place of hub.lock's")
    datasets: dict[Name, Dataset] = Field({}, description="data sets of your own, by name")
    models: dict[Name, Model] = Field({}, description="models of your own, by name")
    methods_folder: PathText | None = Field(None, description="a further folder of methods, beside baselines/")
    methods: Several[Label]
    privacy: Privacy
    search: Search = Search()
    audit: Audit = Audit()
    compare: Compare = Compare()
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]

    @property
    def results(self) -> Path:
        """Folder of this grid's records."""
        return Path(self.results_root) / self.grid

    @property
    def cache(self) -> Path:
        """Folder of bulky files that can be made again."""
        return Path(self.cache_root)

    def sources(self) -> SourceSettings:
        """The settings of the sources of data sets and models."""
        names = ("local_layout", "local_files", "local_models", "hub_revisions")
        return SourceSettings(
            **{name: getattr(self, name) for name in names},
            datasets={name: item.settings(name) for name, item in self.datasets.items()},
            models={name: OwnModel(name=name, **item.model_dump()) for name, item in self.models.items()},
            rows_key=self.rows_key,
        )

    @cached_property
    def own_data(self) -> dict[str, dict[str, Any]]:
        """What each data set of the user's own is, of those that experiments name; their files are read for this."""
        return own.read_data(self) if self.datasets else {}

    @cached_property
    def own_models(self) -> dict[str, tuple[dict[str, Any], ModelCard]]:
        """What each model of the user's own is, of those that experiments name, and its card."""
        return own.read_models(self) if self.models else {}

    @cached_property
    def rows_key(self) -> bytes | None:
        """The secret of a release's hashes of rows, see `lmodp.data.own.identity_of`."""
        if not self.datasets or self.randomness != "entropy":
            return None
        from lmodp.data.own import rows_key  # reads tables, which most configurations need not

        return rows_key(self.cache)

    @cached_property
    def cards(self) -> dict[str, DatasetCard]:
        """The data sets of this configuration: those that the suite knows, and the user's own."""
        return {**DATASETS, **{name: card_of(name, item) for name, item in self.own_data.items()}}

    @cached_property
    def model_cards(self) -> dict[str, ModelCard]:
        """The models of this configuration: those that the suite knows, and the user's own."""
        return {**MODELS, **{name: card for name, (_, card) in self.own_models.items()}}

    def data_folder(self) -> Path | None:
        """The folder of local data files: ``data_root``, else LMODP_DATA_ROOT, else None."""
        root = self.data_root or os.environ.get("LMODP_DATA_ROOT")
        return Path(root).expanduser() if root else None
