"""The configuration's settings for sources; in its own module, so that reading them imports no library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmodp.errors import require

EVALUATION = "test"  # the part of a user's own data on which scores are reported
SHARE = 0.1  # of the training file, for a test part that is not given


@dataclass(frozen=True, kw_only=True)
class OwnDataset:
    """How a data set of the user's own is read; the configuration's section ``datasets`` explains the fields."""

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
    """Return the place of a user's own file or folder: below the folder of local data, or as it is written.

    Raises:
        InvalidValue: there is one in either place, and they are not the same.
    """
    plain = Path(path).expanduser()
    below = (data_root or Path()) / plain
    if plain.exists() and below.exists():
        remedy = "Write the whole path."
        require(plain.samefile(below), "file", path, f"is here and below data_root, in {str(below.parent)!r}", remedy)
    return plain if plain.exists() else below


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """Where a model of the user's own is: a folder, or a hub's repository at a commit (``revision``)."""

    name: str
    place: str
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """The configuration's settings for sources under their keys; they do not enter any id.

    ``datasets`` and ``models`` are the user's own; ``rows_key`` see `lmodp.data.own.identity_of`, None for a benchmark.
    """

    local_layout: str = "plain"
    local_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    local_models: Mapping[str, str] = field(default_factory=dict)
    hub_revisions: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, OwnDataset] = field(default_factory=dict)
    models: Mapping[str, OwnModel] = field(default_factory=dict)
    rows_key: bytes | None = field(default=None, repr=False)
