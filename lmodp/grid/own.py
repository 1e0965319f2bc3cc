"""Data sets and models of the user's own: which keys exclude each other, and what they are once they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from lmodp.data.cards import DATASETS
from lmodp.errors import ConfigError, Fault, LmodpError
from lmodp.models.cards import MODELS, ModelCard

if TYPE_CHECKING:
    from lmodp.grid.sections import Config, Dataset

T = TypeVar("T")
NEEDED = {"classification": ("text", "label"), "table_to_text": ("source", "target")}
ALLOWED = {**NEEDED, "table_to_text": ("source", "target", "group")}


def contradictions(config: Config) -> list[Fault]:
    """Return the broken rules of all data sets and models of the user's own; no file is read."""
    taken = [f"datasets.{name}" for name in config.datasets if name in DATASETS]
    taken += [f"models.{name}" for name in config.models if name in MODELS]
    faults = [Fault(name, "...", "is a name that the suite knows already", "Choose another one.") for name in taken]
    return faults + [fault for name, item in config.datasets.items() for fault in _faults(f"datasets.{name}", item)]


def read_data(config: Config) -> dict[str, dict[str, Any]]:
    """Read the user's own data sets that experiments name; see `Config.own_data`."""
    from lmodp.data.own import identity_of, load_own  # reads tables, which most configurations need not

    def read(name: str) -> dict[str, Any]:
        own = config.datasets[name].settings(name)
        examples = load_own(own, cache_root=config.cache, data_root=config.data_folder())
        return identity_of(own, examples, config.rows_key)

    used = {item.dataset for item in config.experiments.values()}
    return _all("datasets", (name for name in config.datasets if name in used), read)


def read_models(config: Config) -> dict[str, tuple[dict[str, Any], ModelCard]]:
    """Read what the user's own models are that experiments name; see `Config.own_models`."""
    from lmodp.models.own import identity_of  # transformers, which most configurations need not

    models, cache, root = config.sources().models, config.cache, config.data_folder()
    used = {item.model for item in config.experiments.values()}
    names = (name for name in models if name in used)
    return _all("models", names, lambda name: identity_of(models[name], cache_root=cache, data_root=root))


def _all(section: str, names: Iterable[str], read: Callable[[str], T]) -> dict[str, T]:
    """Read every thing of a section; all that cannot be read are told together."""
    found, faults = {}, []
    for name in names:
        try:
            found[name] = read(name)
        except LmodpError as error:
            faults.append(Fault(f"{section}.{name}", "...", str(error).rstrip(".")))
    if faults:
        raise ConfigError(section, faults)
    return found


def _faults(place: str, item: Dataset) -> list[Fault]:
    columns = (*ALLOWED["classification"], *ALLOWED["table_to_text"])
    given = [column for column in columns if getattr(item, column) is not None]
    missing = [column for column in NEEDED[item.task] if column not in given]
    other = [column for column in given if column not in ALLOWED[item.task]]
    faults = [Fault(f"{place}.{column}", None, f"is required for {item.task}", "Name a column.") for column in missing]
    faults += [Fault(f"{place}.{column}", "...", f"is not for {item.task}", "Leave it out.") for column in other]
    if "train" not in item.files:
        faults.append(Fault(f"{place}.files.train", None, "is required", "Give the file of the training part."))
    if (item.repository is None) != (item.revision is None):
        rule = "a hub's repository needs its commit, and only such a one has a commit"
        faults.append(Fault(f"{place}.revision", item.revision, rule, "Give both from and revision, or neither."))
    texts = [item.text] if isinstance(item.text, str) else item.text or []
    named = [column for column in (*texts, item.label, item.source, item.target) if column is not None]
    if len(set(named)) < len(named):
        faults.append(Fault(place, named, "names one column twice", "Give every use its own column."))
    for part in item.split_off:
        if part in item.files:
            faults.append(Fault(f"{place}.split_off.{part}", item.split_off[part], "has a file", "Leave one out."))
    if item.split_off and "test" not in {*item.files, *item.split_off}:
        faults.append(Fault(f"{place}.split_off.test", None, "is required", "Give files.test or a share for it."))
    if sum(item.split_off.values()) >= 1:
        faults.append(Fault(f"{place}.split_off", item.split_off, "takes the whole file", "Leave some for training."))
    return faults
