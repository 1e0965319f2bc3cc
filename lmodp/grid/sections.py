"""The sections of a grid's configuration: every key with its type, its rule and its default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lmodp.data.source_settings import SourceSettings

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
    public_scores: bool = Field(
        False, description="the scored split is public: its scores are published under randomness: entropy as well"
    )
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
    privacy_unit: Literal["example"] = Field("example", description="who is protected; nothing else is built")
    adjacency: Literal["add_or_remove_one"] = Field(
        "add_or_remove_one", description="which data sets are neighbours; nothing else is built"
    )
    randomness: Literal["seeded", "entropy"] = Field(
        "seeded",
        description="'seeded': a benchmark, which anybody can repeat and which protects nobody; 'entropy': a release, "
        "whose keys come from the system and are kept nowhere",
    )
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
