"""The configuration of a grid: closed, typed, and checked before anything runs.

Every key is declared in `lmodp.grid.sections`; `schema` writes the same as a JSON
schema (``workflow/schemas/config.schema.json``, tested for drift). Unknown keys,
wrong types and broken rules are collected and reported together, each with name,
value, rule and remedy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from lmodp.errors import ConfigError, Fault, MissingFile, nearest, shortened
from lmodp.grid.checks import contradictions
from lmodp.grid.sections import Config, Section


def load_config(path: Path | str) -> Config:
    """Read and check a configuration file.

    Raises:
        MissingFile: there is no such file.
        ConfigError: not YAML, or any key, type or rule is broken.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFile(f"configfile = {str(path)!r}: is not there. The grids are in config/.") from None
    except (OSError, ValueError) as error:
        name, reason = shortened(repr(str(path))), shortened(str(error))
        raise MissingFile(f"configfile = {name}: cannot be read ({reason}). The grids are in config/.") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [Fault("file", str(path), f"is not valid YAML ({error})")]) from None
    return check_config(values, source=str(path))


def check_config(values: Any, *, source: str = "config") -> Config:
    """Check plain values, as read from YAML or given by Snakemake.

    Raises:
        ConfigError: with all faults found.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(source, [_fault(item) for item in error.errors()]) from None
    if faults := contradictions(config):
        raise ConfigError(source, faults)
    return config


def schema() -> dict[str, Any]:
    """Return the JSON schema generated from the types above."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def _fault(item: Any) -> Fault:
    path = [part for part in item["loc"] if not _is_branch(part)]
    name = ".".join(map(str, path))
    if item["type"] == "extra_forbidden":
        return Fault(name, item["input"], "unknown key", nearest(str(path[-1]), _keys_at(path[:-1])))
    if item["type"] == "missing":
        return Fault(name, None, "is required", "Add it to the file.")
    rule = item["msg"].removeprefix("Value error, ")
    return Fault(name, item["input"], rule[0].lower() + rule[1:], _remedy(path))


def _is_branch(part: Any) -> bool:
    """Whether a part of a path is the branch of a union, which pydantic names and users did not write."""
    return isinstance(part, str) and ("[" in part or part in {"LastLayers", "LoraPart"} or part.startswith("literal"))


def _keys_at(path: list[Any]) -> list[str]:
    """The keys allowed at a place of the configuration."""
    found: list[type[Section]] = [Config]
    for part in path:
        inner = [section.model_fields[part].annotation for section in found if part in section.model_fields]
        if inner:  # otherwise it is a name that the user chose, such as an experiment's
            found = [section for annotation in inner for section in _sections(annotation)]
    return [field.alias or name for section in found for name, field in section.model_fields.items()]


def _sections(annotation: Any) -> list[type[Section]]:
    """The sections that a type mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _remedy(path: list[Any]) -> str:
    return {
        "epsilon": "Give a positive target such as 0.3.",
        "delta": "Give a probability below 1 / data set size, such as 1e-10.",
        "trainable": "Give full, head, bitfit, {last_layers: k} or {lora: {rank: r}}.",
    }.get(next((part for part in reversed(path) if isinstance(part, str)), ""), "")
