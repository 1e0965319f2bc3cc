"""What a claim file may say: every key with its type and its rule. ``claims/README.md`` explains them for users."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lmodp.errors import ConfigError, Fault, nearest
from lmodp.grid.config import key_path, read_yaml, validated
from lmodp.grid.sections import Commit, Count, Name, Number, Positive, Probability, Section
from lmodp.mechanisms import PUBLISHED, noise_from_dict
from lmodp.mechanisms.published import AS_DRAWN

FOLDER = Path("claims")
Text = Annotated[str, Field(min_length=3, max_length=2000)]
Setting = Literal[
    "epsilon", "delta", "adjacency", "release", "clipping", "noise", "sampler", "dataset_size", "batch_size",
    "sampling_rate", "steps", "epochs",
]  # fmt: skip
Finding = Literal[
    "public_seed", "one_draw_for_all_coordinates", "batch_clipped", "releases_not_composed", "shuffled_batches",
    "fixed_size_batches", "divided_by_drawn_size", "size_not_private", "statistic_without_noise", "noise_law_differs",
    "accountant_differs", "other",
]  # fmt: skip


class Place(Section):
    """Where something is written: in a paper, or in a file of a repository at a commit."""

    of: list[Setting] = Field([], description="the settings that are written there")
    paper: Text | None = Field(None, description="table, figure, section or page of the claim's source")
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    path: Text | None = None
    commit: Commit | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        parts = (self.repository, self.path, self.commit)
        if (None in parts and any(parts)) or not (self.paper or all(parts)):
            raise ValueError("names no place: give paper, or repository, path and commit")
        return self


class Claimed(Section):
    """What is claimed."""

    epsilon: Positive
    delta: Annotated[Number, Field(ge=0, lt=1)] | None
    adjacency: Literal["add_or_remove_one", "replace_one"] = "add_or_remove_one"
    group_size: Count = Field(1, description="examples that neighbouring data sets differ in")
    unit: Text = Field("example", description="who is protected")
    rounded_to: Positive | None = Field(None, description="unit of the last digit, where epsilon is a rounded result")

    @model_validator(mode="after")
    def _last_digit(self) -> Self:
        last = 10.0 ** min(0, int(Decimal(repr(self.epsilon)).normalize().as_tuple().exponent))
        if self.rounded_to is not None and self.rounded_to > last * (1 + 1e-9):
            raise ValueError(f"rounded_to may be at most {last:g}, the last digit of epsilon as it is written")
        return self


class Release(Section):
    """What a step releases."""

    what: Text
    numbers: Count | Literal["many"] = Field(description="coordinates of one release")
    a_step: Count = Field(1, description="releases of one step, all of the same batch")
    clipping: Literal["example", "batch", "none"] | None = Field(description="what is clipped; null: not written")
    sensitivity: Positive = Field(
        1.0, description="L2 bound of an example's share in one release, in the units of the noise"
    )


class OfCode(Section):
    """A noise scale that the cited code computes with its own accountant."""

    accountant: Literal["rdp_classic", "rdp", "pld"]
    epsilon: Positive = Field(description="the target that the code is given")
    delta: Probability
    sampling_rate: Annotated[Number, Field(gt=0, le=1)]
    steps: Count
    tolerance: Annotated[Number, Field(gt=0, le=1)] = Field(
        0.01, description="how far the code's epsilon may stay below its target"
    )
    tolerance_above: Annotated[Number, Field(ge=0, le=1)] = Field(0.0, description="and lie above it")


class NoiseSpec(Section):
    """The noise of one coordinate."""

    origin: Literal["printed", "code", "calibrated_here"]
    family: Literal["gaussian", "laplace"] = "gaussian"
    noise_multiplier: Positive | None = Field(None, description="standard deviation, in the units of the sensitivity")
    rounded_to: Positive | None = Field(None, description="unit of its last digit, where it is printed rounded")
    point: str | None = Field(None, description="a published point such as lmo-0.3, or lmo-0.3-as_drawn")
    law: dict[str, Any] | None = Field(None, description="a law as a noise file has it")
    by_code: OfCode | None = None

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        scales = [self.noise_multiplier, self.point, self.law, self.by_code]
        if sum(scale is not None for scale in scales) != 1:
            raise ValueError("needs one of noise_multiplier, point, law and by_code")
        if (self.by_code is not None) != (self.origin == "code"):
            raise ValueError("needs by_code with origin code, and only then")
        if self.by_code is not None and self.family != "gaussian":
            raise ValueError("by_code is known for gaussian noise only")
        if self.rounded_to and self.rounded_to >= 2 * (self.noise_multiplier or 0):
            raise ValueError("has rounded_to, the unit of the last digit, at twice noise_multiplier or above")
        return self

    @field_validator("point")
    @classmethod
    def _known(cls, point: str | None) -> str | None:
        if point is not None and point.removesuffix(AS_DRAWN) not in PUBLISHED:
            raise ValueError(f"is no published point. Known: {', '.join(sorted(PUBLISHED))}")
        return point

    @field_validator("law")
    @classmethod
    def _readable(cls, law: dict[str, Any] | None) -> dict[str, Any] | None:
        if law is not None:
            noise_from_dict(law)
        return law


class Further(Section):
    """Gaussian releases of another kind, composed with the claim's own."""

    what: Text
    noise_multiplier: Positive = Field(description="standard deviation over the sensitivity of this release")
    sampling_rate: Annotated[Number, Field(gt=0, le=1)]
    steps: Count


class RunSpec(Section):
    """How often, and on which examples, a release is made."""

    sampler: Literal["poisson", "fixed_size", "shuffled", "full_batch"] | None
    dataset_size: Count | None
    batch_size: Positive | None
    sampling_rate: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        None, description="only where it is what the source gives"
    )
    steps: Count | None = None
    epochs: Positive | None = Field(
        None,
        description="in place of steps: E N / B, rounded up above and down below; E epochs of shuffled batches",
    )

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("gives steps and epochs. Leave one out")
        if self.sampling_rate is not None and None not in (self.dataset_size, self.batch_size):
            raise ValueError("gives sampling_rate beside dataset_size and batch_size. Leave it out")
        if self.dataset_size and self.batch_size and self.batch_size > self.dataset_size:
            raise ValueError("has a batch larger than the data set")
        whole = self.batch_size == self.dataset_size or None in (self.batch_size, self.dataset_size)
        if self.sampler == "full_batch" and not (whole and self.sampling_rate in (None, 1)):
            raise ValueError("has full batches that are smaller than the data set")
        if self.sampler == "fixed_size" and self.batch_size and self.batch_size == self.dataset_size:
            raise ValueError("has batches of all examples. Give the sampler as full_batch")
        return self


class Check(Section):
    """A finding about the code, with its evidence in our words."""

    finding: Finding
    evidence: Text
    place: Place


class Reading(Section):
    """One of few possible readings: what it changes in the claim."""

    name: Text
    changes: dict[str, Any]


class Told(Section):
    """An author's answer, or a review."""

    by: Text
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    said: Text
    place: Place


class Claim(Section):
    """One published claim."""

    paper: Name = Field(description="key of the paper; all claims of a paper share it")
    title: Text
    source: Text = Field(description="such as arXiv 2405.18776")
    setting: Text = Field(description="the row, in one line")
    about: Literal["paper", "code"] = Field(description="whether the mechanism as described or as coded is judged")
    claimed: Claimed
    release: Release
    noise: NoiseSpec | None = Field(description="null: its scale is not written")
    run: RunSpec
    further: list[Further] = Field([], description="releases of another kind that are composed with these")
    places: list[Place] = Field(description="where each setting is written")
    readings: list[Reading] = []
    checks: list[Check] = []
    missing: list[Text] = Field([], description="what was looked for and not found")
    note: Text | None = None
    see: list[Text] = Field([], description="ids of claims that belong to this one")
    answer: Told | None = Field(None, description="an author's answer")
    reviews: list[Told] = []

    def given(self) -> set[str]:
        """Return the settings that the claim gives and that must be written somewhere."""
        run = {name for name, value in self.run.model_dump().items() if value is not None}
        known = {"delta": self.claimed.delta, "noise": self.noise, "clipping": self.release.clipping}
        return {"epsilon", "release", *run, *(name for name, value in known.items() if value is not None)}


REMEDIES = {
    "paper": "Give a key in lower-case letters, digits and underscores.",
    "commit": "Give the 40 digits of the commit.",
    "repository": "Give owner/name.",
    "date": "Give YYYY-MM-DD, in quotes.",
}


_FIXED = {*Claim.model_fields} - {"claimed", "release", "noise", "run", "further", "checks"}  # in each reading
# What the template says before anybody has written a claim into it.
PLACEHOLDERS = {
    "the paper's title", "arXiv 0000.00000", "model, data set and row, in one line", "table 0", "owner/name", "0" * 40,
}  # fmt: skip


def load_claim(path: Path | str) -> Claim:
    """Read and check a claim file, and each of its readings.

    Raises:
        MissingFile: there is no such file.
        ConfigError: not YAML, or any key, type or rule is broken, with all faults found.
    """
    values = read_yaml(path, "claim", "The claims are in claims/; `lmodp claims new` writes one.")
    claim = validated(Claim, values, source=str(path), remedies=REMEDIES)
    faults = [*_faults(claim), *_faults_of_file(claim, Path(path))]
    plain = {key: item for key, item in values.items() if key != "readings"}
    for place, reading in enumerate(claim.readings, 1):
        try:
            changed = validated(Claim, merged(plain, reading.changes), source=str(path), remedies=REMEDIES)
            found = [fault for fault in _faults(changed) if fault not in faults]
        except ConfigError as error:
            found = list(error.faults)
        found += [Fault(key, "...", "is not for a reading to change") for key in sorted({*reading.changes} & _FIXED)]
        faults += [replace(fault, name=f"readings #{place}: {fault.name}") for fault in found]
    if faults:
        raise ConfigError(str(path), faults)
    return claim


def _faults(claim: Claim) -> Iterator[Fault]:
    """Yield what no single key shows, of a claim or of one of its readings."""
    if claim.about == "code" and claim.run.sampler == "poisson":
        if any(item.finding == "shuffled_batches" for item in claim.checks):
            rule = "contradicts the finding shuffled_batches in a claim about code"
            yield Fault("run.sampler", "poisson", rule, "Write sampler: shuffled, or about: paper.")


def _faults_of_file(claim: Claim, path: Path) -> Iterator[Fault]:
    """Yield what a claim says that its file, the files beside it and the template contradict."""
    if not path.stem.startswith(f"{claim.paper}-"):
        rule = f"must begin the name of the file, which is {path.name}"
        yield Fault("paper", claim.paper, rule, "Name the file <paper>-<row>.yaml.")
    if lacking := sorted(claim.given() - {setting for place in claim.places for setting in place.of}):
        yield Fault("places", "...", f"lacks {', '.join(lacking)}", "Say where each setting is written.")
    names = [item.name for item in claim.readings]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault("readings", name, "is the name of two readings", "Give each its own.")
    known = [item.stem for folder in {path.parent, FOLDER} for item in folder.glob("*.yaml")]
    for place, name in enumerate(claim.see, 1):
        if name not in known:
            yield Fault(f"see #{place}", name, "is no claim", nearest(name, known) if known else "")
    for key, value in _leaves(claim.model_dump(exclude_unset=True)):
        if value in PLACEHOLDERS:
            yield Fault(key, value, "is the template's own text", "Write what the source says.")


def _leaves(values: Any, *path: Any) -> Iterator[tuple[str, Any]]:
    """Yield each plain value with the path to it."""
    if isinstance(values, Mapping | list):
        for key, item in values.items() if isinstance(values, Mapping) else enumerate(values):
            yield from _leaves(item, *path, key)
    else:
        yield key_path(path), values


def readings_of(claim: Claim) -> dict[str, Claim]:
    """Return the claim under each of its readings by name; under the name "" if it has one reading only."""
    plain = claim.model_dump(exclude={"readings"}, exclude_unset=True)
    changed = {item.name: Claim.model_validate(merged(plain, item.changes)) for item in claim.readings}
    return changed or {"": claim}


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with those of ``changes`` in their place, section by section."""
    found = dict(values)
    for key, item in changes.items():
        inner = found.get(key)
        found[key] = merged(inner, item) if isinstance(item, Mapping) and isinstance(inner, Mapping) else item
    return found
