"""The data sets the suite knows, with the sizes that its privacy statements use.

The sampling rate is the expected batch size over ``train_size``, so certificates
depend on this size. It is declared here, and `prepare_dataset` refuses data of any
other size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


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
        published_size: N of the published accounting if it differs; used only to
            recompute published claims.
        stands_for: the published data set that this one replaces, if any; methods then use their
            published points for that one.
        f1: whether the F1 of the last label is reported in addition to accuracy.
        licence: as published by the source.
        notes: facts that a reader of the tables must know.
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
    notes: tuple[str, ...] = field(default=())


OWN = (
    "A data set of the user's own. The number of its training examples and the names of its classes were counted in "
    "the data; both are public. The privacy unit is a row."
)
_CARDS = (
    DatasetCard(
        name="movie_reviews",
        title="movie-review sentences",
        task="classification",
        train_size=7568,
        evaluation_split="test",
        evaluation_size=2000,
        labels=("negative", "positive"),
        package="vaderSentiment",
        stands_for="sst2",
        licence="MIT",
        notes=(
            "Sentences of the Rotten Tomatoes corpus with mean human ratings (Hutto and Gilbert 2014); label = sign "
            "of the mean rating. 37 sentences rated exactly 0 are dropped; copies of a sentence stay on one side of "
            "the split.",
            "SST was built from the same sentences, so this set and SST-2 overlap.",
        ),
    ),
    DatasetCard(
        name="made_up",
        title="synthetic sentences",
        task="classification",
        train_size=192,
        evaluation_split="test",
        evaluation_size=64,
        labels=("negative", "positive"),
        stands_for="sst2",
        licence="made by this suite",
        notes=("Sentences from a small grammar, for trying the workflow; scores on it mean nothing.",),
    ),
    DatasetCard(
        name="sst2",
        title="SST-2",
        task="classification",
        train_size=67349,
        evaluation_split="validation",
        evaluation_size=872,
        labels=("negative", "positive"),
        published_size=67350,
        licence="research use",
        notes=("Scores are on the public validation split, as in the literature.",),
    ),
    DatasetCard(
        name="mnli",
        title="MNLI (matched)",
        task="classification",
        train_size=392702,
        evaluation_split="validation",
        evaluation_size=9815,
        labels=("entailment", "neutral", "contradiction"),
        published_size=392703,
        licence="research use",
        notes=("Scores are on the public matched validation split, as in the literature.",),
    ),
    DatasetCard(
        name="qnli",
        title="QNLI",
        task="classification",
        train_size=104743,
        evaluation_split="validation",
        evaluation_size=5463,
        labels=("entailment", "not_entailment"),
        published_size=104744,
        licence="CC BY-SA 4.0",
        notes=("Scores are on the public validation split, as in the literature.",),
    ),
    DatasetCard(
        name="qqp",
        title="QQP",
        task="classification",
        train_size=363846,
        evaluation_split="validation",
        evaluation_size=40430,
        labels=("not_duplicate", "duplicate"),
        published_size=363847,
        f1=True,
        licence="research use",
        notes=("Scores are on the public validation split, as in the literature.",),
    ),
    DatasetCard(
        name="e2e",
        title="E2E",
        task="table_to_text",
        train_size=42061,
        evaluation_split="test",
        evaluation_size=4693,
        licence="CC BY-SA 4.0",
        notes=(
            "The privacy unit is a row (a record with one reference), as published; the 42,061 training rows share "
            "4,862 distinct records, so a record as a whole is protected less than a row.",
            "References are the files' own text, not tokenised beforehand.",
        ),
    ),
    DatasetCard(
        name="dart",
        title="DART",
        task="table_to_text",
        train_size=62659,
        evaluation_split="test",
        evaluation_size=12552,
        licence="MIT",
        notes=(
            "The privacy unit is a row (a record with one reference), as in the literature; rows share records.",
            "DART v1.1.1; empty references are refused and counted.",
        ),
    ),
    DatasetCard(
        name="venues",
        title="synthetic venues",
        task="table_to_text",
        train_size=7200,
        evaluation_split="test",
        evaluation_size=800,
        stands_for="e2e",
        licence="made by this suite",
        notes=(
            "Records in E2E's form and sentences that say them, from a small grammar; 2,400 distinct training records "
            "with three sentences each. The privacy unit is a row (a record with one sentence).",
            "The packaged GPT-2 was pretrained on 4,000 other records of the same grammar, with other phrasings.",
        ),
    ),
)

DATASETS: dict[str, DatasetCard] = {card.name: card for card in _CARDS}


def card_of(dataset: str, own_data: Mapping[str, Any] | None = None) -> DatasetCard:
    """Return the card of a data set that the suite knows, or that of a user's own.

    Args:
        dataset: its name.
        own_data: what was counted in a user's own data (`lmodp.data.own.identity_of`); None for a known one.
    """
    if own_data is None:
        return DATASETS[dataset]
    facts = {name: value for name, value in own_data.items() if name not in ("labels", "sha256")}
    return DatasetCard(name=dataset, title=dataset, labels=tuple(own_data["labels"]), notes=(OWN,), **facts)


def published_name(dataset: str) -> str:
    """Return the published data set that a data set is or stands for."""
    return (DATASETS[dataset].stands_for if dataset in DATASETS else None) or dataset
