"""The configuration's settings for sources; in its own module, so that reading them imports no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVALUATION = "test"  # the part of a user's own data on which scores are reported
SHARE = 0.1  # of the training file, for a test part that is not given


@dataclass(frozen=True, kw_only=True)
class OwnDataset:
    """How a data set of the user's own is read; the fields are those of the configuration's section ``datasets``.

    Args:
        name: key in the configuration.
        task: "classification" or "table_to_text".
        files: path of each part ("train", "validation", "test"), below the folder of local data or in the repository.
        text: one or two columns with the text (classification).
        label: column with the class, a name or a whole number (classification).
        source, target: columns with the record and with its sentence (table-to-text).
        group: column whose equal values mark references of one record; None where equal records do.
        split_off: share of the training file that a part without a file takes.
        seed: of that choice.
        repository, revision: of a hub, in place of local files.
    """

    name: str
    task: str
    files: Mapping[str, str]
    text: Sequence[str] = ()
    label: str | None = None
    source: str | None = None
    target: str | None = None
    group: str | None = None
    split_off: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    repository: str | None = None
    revision: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The column of the file for each column of the examples."""
        if self.task == "classification":
            texts = zip(("sentence", "sentence2"), self.text, strict=False)
            named = {**dict(texts), "label": self.label}
        else:
            named = {"record": self.source, "text": self.target, "group": self.group}
        return {name: column for name, column in named.items() if column is not None}

    @property
    def shares(self) -> dict[str, float]:
        """The share of the training file that each part without a file takes."""
        wanted = self.split_off or {EVALUATION: SHARE}
        return {part: share for part, share in wanted.items() if part not in self.files}


def placed(path: str, data_root: Path | None) -> Path:
    """Return the place of a user's own file or folder: below the folder of local data, or else as it is written."""
    plain = Path(path).expanduser()
    below = (data_root or Path()) / plain
    return plain if plain.exists() and not below.exists() else below


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """Where a model of the user's own is: a folder, or a hub's repository at a commit (``revision``)."""

    name: str
    place: str
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """The configuration's settings for sources; they do not enter any id.

    Args:
        local_layout: "plain" or "official", see `lmodp.data.cards`.
        local_files: for each data set, the path of each split below ``data_root``.
        local_models: for each model, its folder below ``data_root``; default ``models/NAME``.
        hub_revisions: for each data set or model, a commit.
        datasets: how each data set of the user's own is read.
        models: where each model of the user's own is.
        rows_key: see `lmodp.data.own.identity_of`; None for a benchmark.
    """

    local_layout: str = "plain"
    local_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    local_models: Mapping[str, str] = field(default_factory=dict)
    hub_revisions: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, OwnDataset] = field(default_factory=dict)
    models: Mapping[str, OwnModel] = field(default_factory=dict)
    rows_key: bytes | None = field(default=None, repr=False)
