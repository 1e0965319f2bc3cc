"""Where data sets and models come from: packages ("embedded"), local files, or a hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lmodp.data.cards import DatasetCard
from lmodp.data.hub import hub_files
from lmodp.data.hub_lock import hub_entry
from lmodp.data.local import load_local, read_splits
from lmodp.data.made_up import load_made_up
from lmodp.data.movie_reviews import load_movie_reviews
from lmodp.data.own import load_own
from lmodp.data.source_settings import SourceSettings
from lmodp.data.tables import Examples
from lmodp.data.venues import load_venues
from lmodp.errors import InvalidValue

EMBEDDED: dict[str, Callable[[Path], Examples]] = {
    "movie_reviews": load_movie_reviews,
    "made_up": lambda cache_root: load_made_up(),
    "venues": lambda cache_root: load_venues(),
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
        LmodpError: see `load_local`, `load_own` and `hub_files`.
    """
    if card.name in settings.datasets:
        return load_own(settings.datasets[card.name], cache_root=cache_root, data_root=data_root)
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
