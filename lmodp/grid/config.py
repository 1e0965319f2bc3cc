"""The configuration of a grid: closed, typed, and checked before anything runs.

Every key is declared here with its type and rule; `schema` writes the same as a
JSON schema (``workflow/schemas/config.schema.json``, tested for drift). Unknown
keys, wrong types and broken rules are collected and reported together, each with
name, value, rule and remedy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lmodp.data.cards import DATASETS
from lmodp.data.source_settings import SourceSettings
from lmodp.errors import ConfigError, Fault, MissingFile, nearest
from lmodp.methods.discovery import load_methods
from lmodp.models.cards import MODELS

Source = Literal["embedded", "local", "hub"]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Calibration = Literal["claimed", "verified"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """A section of the configuration: unknown keys are faults, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Privacy(Section):
    """The privacy targets: every epsilon at every delta under every calibration."""

    epsilon: Annotated[list[Positive], Field(min_length=1)]
    delta: Annotated[list[Probability], Field(min_length=1)] = [1e-10]
    calibrations: Annotated[list[Calibration], Field(min_length=1)] = ["claimed", "verified"]
    published_points: Literal["all"] | list[str] = Field(
        "all", description="settings of the methods' own published points, which run in addition to these targets"
    )


class Search(Section):
    """The offline noise search, in addition to the published settings."""

    space: str = Field("published", description="'published', or the path of a space file")
    accountant: Literal["claimed", "paper_bound", "verified"] = "claimed"
    objective: Literal["epsilon", "usefulness", "std"] = "epsilon"
    gamma: Positive = 0.9


class Audit(Section):
    """Claims tried by experiment: for every mechanism, and in one run per method."""

    trials: Annotated[int, Field(ge=100)] = Field(
        400_000, description="transcripts per mechanism, half of them with the canary"
    )
    sampler_trials: Annotated[int, Field(ge=100)] = Field(
        20_000, description="transcripts in which the device's sampler draws every coordinate"
    )
    coordinates: Count = Field(16, description="coordinates that the worst-case gradient is spread over")
    canaries: Annotated[int, Field(ge=10)] = Field(1000, description="canaries of the audited run")
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


Trainable = Literal["full", "head", "bitfit"] | LastLayers | LoraPart


class Tuning(Section):
    """The choice of hyper-parameters for every method: each pair is tried once, the least validation loss wins.

    The privacy cost of tuning is not accounted for, for any method.
    """

    learning_rate: Annotated[list[Positive], Field(min_length=1)] | None = Field(
        None, description="null for the experiment's"
    )
    clip_norm: Annotated[list[Positive], Field(min_length=1)] | None = Field(
        None, description="null for the experiment's"
    )


class Training(Section):
    """How a run is trained. The sampling rate is expected_batch_size over the data set's size."""

    expected_batch_size: Positive
    steps: Count
    clip_norm: Positive = 1.0
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Positive = 5e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "linear"] = "constant"
    micro_batch_size: Count = 256
    precision: Literal["float32", "bfloat16"] = "float32"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tuning: Tuning | None = Field(None, description="null for one setting for all methods")
    evaluate_every: Count | None = None
    checkpoint_every: Count | None = None


class Generation(Section):
    """Beam search of table-to-text experiments (see ``lmodp.tasks.decoding``)."""

    num_beams: Count = 5
    max_new_tokens: Count = 100
    min_new_tokens: Annotated[int, Field(ge=0)] = 0
    length_penalty: float = 1.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    batch_size: Count = 32
    records: Count | None = Field(None, description="how many distinct records are scored; null for all")


class Experiment(Section):
    """One comparison: a data set, a model and a trainable part, over methods and targets."""

    title: str
    dataset: str
    model: str
    source: Source = Field("embedded", description="where the data set comes from")
    model_source: Source | None = Field(None, description="where the model comes from; null for the data set's source")
    layers: Count | None = Field(None, description="use only the model's first layers, if it can be cut; null for all")
    trainable: Trainable = "full"
    pooling: Literal["first", "mean", "last"] = "first"
    max_length: Annotated[int, Field(ge=2)] = 64
    repetitions: Count = 1
    certify_only: bool = Field(False, description="certify and audit the mechanisms of this plan; train nothing")
    training: Training
    generation: Generation | None = Field(None, description="table-to-text only; null for the published search")
    methods: list[str] | None = Field(None, description="null takes the grid's methods")
    learning_rates: dict[str, Positive] = Field(
        {}, description="for methods that need another rate than training.learning_rate"
    )
    privacy: Privacy | None = Field(None, description="null takes the grid's targets")


class Config(Section):
    """A whole grid."""

    grid: Name
    title: str = ""
    base_seed: Annotated[int, Field(ge=0)] = 0
    threads: Count = 1
    keep_records: bool = Field(
        False, description="keep records that other versions of the code made; tables and figures are always made anew"
    )
    unfinished: Literal["compute", "pending"] = Field(
        "compute", description="compute what has no records yet, or report it as pending"
    )
    results_root: str = "results"
    cache_root: str = ".cache"
    data_root: str | None = Field(None, description="folder of local files; null takes LMODP_DATA_ROOT")
    local_layout: Literal["plain", "official"] = Field("plain", description="names of the files under data_root")
    local_files: dict[str, dict[str, str]] = Field({}, description="data set to split to path, if a name differs")
    local_models: dict[str, str] = Field({}, description="model to folder under data_root; the default is models/NAME")
    hub_revisions: dict[str, Commit] = Field({}, description="data set or model to commit, in place of hub.lock's")
    methods_folder: str | None = Field(None, description="a further folder of methods, beside baselines/")
    methods: Annotated[list[str], Field(min_length=1)]
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
        return SourceSettings(**{name: getattr(self, name) for name in names})

    def data_folder(self) -> Path | None:
        """The folder of local data files: ``data_root``, else LMODP_DATA_ROOT, else None."""
        root = self.data_root or os.environ.get("LMODP_DATA_ROOT")
        return Path(root).expanduser() if root else None


def load_config(path: Path | str) -> Config:
    """Read and check a configuration file.

    Raises:
        MissingFile: there is no such file.
        ConfigError: not YAML, or any key, type or rule is broken.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFile(f"configfile = {str(path)!r}: is not there. The grids are in config/.") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [Fault("file", str(path), f"is not valid YAML ({error})")]) from None
    return check_config(values, source=str(path))


def check_config(values: Any, *, source: str = "config") -> Config:
    """Check plain values, as read from YAML or given by Snakemake.

    Raises:
        ConfigError: with all faults found.
    """
    try:
        config = Config.model_validate(_numbers(values))
    except ValidationError as error:
        raise ConfigError(source, [_fault(item) for item in error.errors()]) from None
    faults = [
        *_unknown_names(config),
        *_impossible_batches(config),
        *_impossible_rates(config),
        *_impossible_tasks(config),
    ]
    if faults:
        raise ConfigError(source, faults)
    return config


def schema() -> dict[str, Any]:
    """Return the JSON schema generated from the types above."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)")


def _numbers(values: Any) -> Any:
    """Turn texts such as ``1e-10`` into numbers: YAML 1.1, which PyYAML and Snakemake read, takes them for text."""
    if isinstance(values, dict):
        return {key: _numbers(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    if isinstance(values, str) and _NUMBER.fullmatch(values):
        return float(values)
    return values


def _fault(item: Any) -> Fault:
    path = [part for part in item["loc"] if not _is_branch(part)]
    name = ".".join(map(str, path))
    if item["type"] == "extra_forbidden":
        return Fault(name, item["input"], "unknown key", nearest(str(path[-1]), _keys_at(path[:-1])))
    if item["type"] == "missing":
        return Fault(name, None, "is required", "Add it to the file.")
    return Fault(name, item["input"], item["msg"][0].lower() + item["msg"][1:], _remedy(path))


def _is_branch(part: Any) -> bool:
    """Whether a part of a path is the branch of a union, which pydantic names and users did not write."""
    return isinstance(part, str) and ("[" in part or part in {"LastLayers", "LoraPart"} or part.startswith("literal"))


def _keys_at(path: list[Any]) -> list[str]:
    """The keys allowed at a place of the configuration."""
    found: list[type[Section]] = [Config]
    for part in path:
        inner = [section.model_fields[part].annotation for section in found if part in section.model_fields]
        if inner:  # otherwise it is a name that the user chose, such as an experiment's
            found = [section for annotation in inner for section in _sections(annotation)]
    return [name for section in found for name in section.model_fields]


def _sections(annotation: Any) -> list[type[Section]]:
    """The sections that a type mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _remedy(path: list[Any]) -> str:
    return {
        "epsilon": "Give a positive target such as 0.3.",
        "delta": "Give a probability below 1 / data set size, such as 1e-10.",
        "trainable": "Give full, head, bitfit, {last_layers: k} or {lora: {rank: r}}.",
    }.get(next((part for part in reversed(path) if isinstance(part, str)), ""), "")


def _unknown_names(config: Config) -> list[Fault]:
    methods = load_methods(config.methods_folder)
    named: list[tuple[str, str, str, Collection[str]]] = []  # place, kind, name, known names
    named += [("methods", "method", name, methods) for name in config.methods]
    named += [(f"compare.{part}", "method", name, methods) for part, name in config.compare]
    for key, item in config.experiments.items():
        named += [(f"experiments.{key}.methods", "method", name, methods) for name in item.methods or []]
        named += [(f"experiments.{key}.learning_rates", "method", name, methods) for name in item.learning_rates]
        named += [(f"experiments.{key}.dataset", "data set", item.dataset, DATASETS)]
        named += [(f"experiments.{key}.model", "model", item.model, MODELS)]
    named += [(f"local_files.{name}", "data set", name, DATASETS) for name in config.local_files]
    named += [(f"local_models.{name}", "model", name, MODELS) for name in config.local_models]
    named += [
        (f"hub_revisions.{name}", "data set or model", name, {**DATASETS, **MODELS}) for name in config.hub_revisions
    ]
    return [
        Fault(place, name, f"unknown {kind}", nearest(name, known))
        for place, kind, name, known in named
        if name not in known
    ]


def _impossible_batches(config: Config) -> list[Fault]:
    faults = []
    for key, item in config.experiments.items():
        batch, card = item.training.expected_batch_size, DATASETS.get(item.dataset)
        if card and batch > card.train_size:
            rule = f"is a sampling rate of {batch / card.train_size:.4g}, which must be at most 1"
            remedy = f"{item.dataset} has {card.train_size} training examples."
            faults.append(Fault(f"experiments.{key}.training.expected_batch_size", batch, rule, remedy))
    return faults


def _impossible_rates(config: Config) -> list[Fault]:
    """A rate of its own needs a method of the experiment, and excludes tuning."""
    faults = []
    for key, item in config.experiments.items():
        place, methods = f"experiments.{key}.learning_rates", config.methods if item.methods is None else item.methods
        faults += [
            Fault(place, name, "is no method of this experiment", "Leave it out.")
            for name in item.learning_rates
            if name not in methods
        ]
        if item.learning_rates and item.training.tuning is not None:
            faults.append(
                Fault(place, "...", "beside training.tuning, which chooses every method's rate", "Leave one out.")
            )
    return faults


def _impossible_tasks(config: Config) -> list[Fault]:
    """Only language models generate sentences, and only some models can be cut."""
    faults = []
    for key, item in config.experiments.items():
        data, model = DATASETS.get(item.dataset), MODELS.get(item.model)
        if data is None or model is None:
            continue
        if data.task == "table_to_text" and not model.generates:
            faults.append(
                Fault(
                    f"experiments.{key}.model",
                    item.model,
                    f"cannot generate, as {item.dataset} asks",
                    "Use a GPT-2 or a Llama.",
                )
            )
        if data.task != "table_to_text" and item.generation is not None:
            faults.append(
                Fault(
                    f"experiments.{key}.generation",
                    "...",
                    f"is for table-to-text, {item.dataset} is not",
                    "Leave it out.",
                )
            )
        if item.layers is not None and not model.depth:
            faults.append(
                Fault(f"experiments.{key}.layers", item.layers, f"model {item.model} is used whole", "Leave it out.")
            )
    return faults
