"""Where data sets and models come from: embedded packages, local files, or a hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lmodp.data.hub import hub_entry, hub_files
from lmodp.data.local import load_local, read_splits
from lmodp.data.made_up import load_made_up
from lmodp.data.movie_reviews import load_movie_reviews
from lmodp.data.registry import DatasetCard
from lmodp.data.tables import Examples
from lmodp.errors import InvalidValue


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """What the config says about sources; no part of any identity.

    Args:
        local_layout: "plain" or "official", see `lmodp.data.local`.
        local_files: data set to split to path below ``data_root``.
        local_models: model to folder below ``data_root``; ``models/NAME`` unless named.
        hub_revisions: data set or model to commit.
    """

    local_layout: str = "plain"
    local_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    local_models: Mapping[str, str] = field(default_factory=dict)
    hub_revisions: Mapping[str, str] = field(default_factory=dict)


EMBEDDED: dict[str, Callable[[Path], Examples]] = {
    "movie_reviews": load_movie_reviews,
    "made_up": lambda cache_root: load_made_up(),
}


def load_examples(
    card: DatasetCard,
    source: str,
    *,
    cache_root: Path,
    data_root: Path | None,
    settings: SourceSettings,
) -> Examples:
    """Return a data set from its source.

    Raises:
        InvalidValue: the source does not offer it.
        LmodpError: see `load_local` and `hub_files`.
    """
    if source == "embedded" and card.name in EMBEDDED:
        return EMBEDDED[card.name](cache_root)
    if source == "local":
        return load_local(card.name, data_root, layout=settings.local_layout, files=settings.local_files.get(card.name))
    if source == "hub":
        entry = hub_entry(card.name, kind="dataset", revisions=settings.hub_revisions)
        folder = hub_files(entry, cache_root=cache_root)
        return read_splits(card.name, {split: folder / path for split, path in entry.files.items()})
    offered = "embedded" if card.name in EMBEDDED else "local or hub"
    raise InvalidValue(f"source = {source!r}: is not offered for data set {card.name!r}. Use {offered}.")
