"""A model of the user's own: a folder that transformers can load, or a repository of a hub at a commit.

Its architecture is read from ``config.json`` when the configuration is read. What the folder holds enters the ids of
all that is made from it (`identity_of`); for a repository the commit does. The folder's own name does not.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from lmodp.data.hub import MODEL_FILES, hub_files
from lmodp.data.locks import HubEntry
from lmodp.data.source_settings import OwnModel, placed
from lmodp.errors import DamagedFile, MissingFile
from lmodp.models.cards import ModelCard, card_of
from lmodp.records.record import read_json, sha256_file

CONFIG = "config.json"


def own_folder(
    own: OwnModel, *, cache_root: Path, data_root: Path | None, files: Mapping[str, str] | None = None
) -> Path:
    """Return the folder of a model of the user's own; of a repository, only ``files`` are fetched where they are given.

    Raises:
        MissingFile: there is no such folder, or it holds no config.json.
        LmodpError: a repository cannot be fetched, see `hub_files`.
    """
    if own.revision is not None:
        entry = HubEntry(kind="model", name=own.name, repository=own.place, revision=own.revision, files=files or {})
        return hub_files(entry, cache_root=cache_root)
    found = placed(own.place, data_root)
    if not (found / CONFIG).is_file():
        raise MissingFile(
            f"from = {own.place!r}: is no folder with a {CONFIG}. Correct the path; a repository of a hub needs its "
            "commit under revision."
        )
    return found


def identity_of(own: OwnModel, *, cache_root: Path, data_root: Path | None) -> tuple[dict[str, Any], ModelCard]:
    """Return what a model is, whatever path led to it, and its card with the configuration of its architecture.

    Raises:
        LmodpError: see `own_folder` and `read_config`.
    """
    folder = own_folder(own, cache_root=cache_root, data_root=data_root, files={"config": CONFIG})
    facts, values = read_config(folder / CONFIG)
    identity = {**facts, "content": own.revision or content_of(folder)}
    return identity, card_of(own.name, identity, config=values)


def read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return architecture and kind of a model, and the values of its configuration, from its ``config.json``.

    Raises `MissingFile` or `DamagedFile`, also where it names no architecture that transformers has.
    """
    config = read_json(path)
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        raise DamagedFile(f"file = {str(path)!r}: names no model_type. Save the model with transformers.")
    if kind not in CONFIG_MAPPING:
        rule = f"model_type is {kind!r}, which transformers does not have"
        raise DamagedFile(f"file = {str(path)!r}: {rule}. Models with code of their own are not loaded.")
    values = {name: value for name, value in config.items() if name not in ("model_type", "architectures")}
    return {"architecture": kind, "causal": is_causal(kind)}, values


def is_causal(kind: str) -> bool:
    """Whether transformers has an architecture as a causal language model, and not as a masked one."""
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def content_of(folder: Path) -> str:
    """Return a SHA-256 over the names and bytes of a model's files."""
    paths = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()})
    lines = "".join(f"{path.name} {sha256_file(path)}\n" for path in paths)
    return hashlib.sha256(lines.encode()).hexdigest()
