"""The data sets the suite knows, with the sizes that its privacy statements use.

The sampling rate is the expected batch size over ``train_size``, so certificates depend on this size. It is declared in
``cards.toml``, and `prepare_dataset` refuses data of any other size.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

Card = TypeVar("Card")


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The facts about a data set that are known before it is loaded.

    Args:
        name: key in the configuration.
        title: for tables and captions.
        task: "classification" or "table_to_text".
        train_size: N, number of training examples (the privacy unit is a row).
        evaluation_split: split on which scores are reported.
        evaluation_size: number of examples of that split.
        labels: label names in the order of their numbers (classification).
        package: entry of ``data.lock`` that the source "embedded" reads, if any.
        published_size: N of the published accounting if it differs; used only to recompute published claims.
        stands_for: the published data set that this one replaces, if any; methods then use their
            published points for that one.
        f1: whether the F1 of the last label is reported in addition to accuracy.
        licence: as published by the source.
        notes: facts that a reader of the tables must know.
        files: for each named layout of local files, the path of each split below ``data_root``.
    """

    name: str
    title: str
    task: Literal["classification", "table_to_text"]
    train_size: int
    evaluation_split: str
    evaluation_size: int
    labels: tuple[str, ...] = ()
    package: str | None = None
    published_size: int | None = None
    stands_for: str | None = None
    f1: bool = False
    licence: str = ""
    notes: tuple[str, ...] = ()
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


OWN = (
    "A data set of the user's own. The number of its training examples and the names of its classes were counted in "
    "the data; both are public. The privacy unit is a row."
)


def cards_of(kind: Callable[..., Card], beside: str) -> dict[str, Card]:
    """Return the cards of ``cards.toml`` beside a module, by name."""
    entries = tomllib.loads(Path(beside).with_name("cards.toml").read_text(encoding="utf-8"))
    facts = {name: {key: _fixed(value) for key, value in card.items()} for name, card in entries.items()}
    return {name: kind(name=name, **known) for name, known in facts.items()}


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


DATASETS = cards_of(DatasetCard, __file__)
LAYOUTS = {
    layout: {name: card.files[layout] for name, card in DATASETS.items() if card.files}
    for layout in ("plain", "official")
}


def card_of(dataset: str, own_data: Mapping[str, Any] | None = None) -> DatasetCard:
    """Return the card of a data set that the suite knows, or that of a user's own (`lmodp.data.own.identity_of`)."""
    if own_data is None:
        return DATASETS[dataset]
    facts = {name: value for name, value in own_data.items() if name not in ("labels", "sha256")}
    return DatasetCard(name=dataset, title=dataset, labels=tuple(own_data["labels"]), notes=(OWN,), **facts)


def published_name(dataset: str) -> str:
    """Return the published data set that a data set is or stands for."""
    return (DATASETS[dataset].stands_for if dataset in DATASETS else None) or dataset
