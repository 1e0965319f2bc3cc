"""What the configuration says about sources; apart, so that reading it loads no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
