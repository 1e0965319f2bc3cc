"""The configuration's settings for sources; in its own module, so that reading them imports no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """The configuration's settings for sources; they do not enter any id.

    Args:
        local_layout: "plain" or "official", see `lmodp.data.local`.
        local_files: for each data set, the path of each split below ``data_root``.
        local_models: for each model, its folder below ``data_root``; default ``models/NAME``.
        hub_revisions: for each data set or model, a commit.
    """

    local_layout: str = "plain"
    local_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    local_models: Mapping[str, str] = field(default_factory=dict)
    hub_revisions: Mapping[str, str] = field(default_factory=dict)
