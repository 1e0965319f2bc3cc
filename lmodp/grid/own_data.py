"""Rules of the configuration's section ``datasets``: which keys a task needs, and which exclude each other."""

from __future__ import annotations

from lmodp.data.cards import DATASETS
from lmodp.data.hub_lock import hub_entries
from lmodp.errors import Fault
from lmodp.grid.sections import Config, Dataset

NEEDED = {"classification": ("text", "label"), "table_to_text": ("source", "target")}
ALLOWED = {"classification": ("text", "label"), "table_to_text": ("source", "target", "group")}
COLUMNS = ("text", "label", "source", "target", "group")


def own_dataset_faults(config: Config) -> list[Fault]:
    """Return the broken rules of all data sets of the user's own; no file is read."""
    return [fault for name, item in config.datasets.items() for fault in _faults(f"datasets.{name}", name, item)]


def _faults(place: str, name: str, item: Dataset) -> list[Fault]:
    given = [column for column in COLUMNS if getattr(item, column) is not None]
    missing = [column for column in NEEDED[item.task] if column not in given]
    other = [column for column in given if column not in ALLOWED[item.task]]
    faults = [Fault(f"{place}.{column}", None, f"is required for {item.task}", "Name a column.") for column in missing]
    faults += [Fault(f"{place}.{column}", "...", f"is not for {item.task}", "Leave it out.") for column in other]
    if name in DATASETS or name in hub_entries():
        faults.append(Fault(place, "...", "is a name that the suite knows already", "Choose another one."))
    if "train" not in item.files:
        faults.append(Fault(f"{place}.files.train", None, "is required", "Give the file of the training part."))
    if (item.repository is None) != (item.revision is None):
        rule = "a hub's repository needs its commit, and only such a one has a commit"
        faults.append(Fault(f"{place}.revision", item.revision, rule, "Give both from and revision, or neither."))
    columns = [*([item.text] if isinstance(item.text, str) else item.text or []), item.label, item.source, item.target]
    named = [column for column in columns if column is not None]
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
