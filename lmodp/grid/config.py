"""The configuration of a grid: closed, typed, and checked before anything runs.

Every key is declared in `lmodp.grid.sections`; `schema` writes the same as a JSON schema
(``workflow/schemas/config.schema.json``, tested for drift). Unknown keys, wrong types and broken rules are collected
and reported together, each with name, value, rule and remedy.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from lmodp.errors import ConfigError, Fault, MissingFile, nearest, shortened
from lmodp.grid.checks import contradictions
from lmodp.grid.sections import Config, Section

T = TypeVar("T", bound=Section)
REMEDIES = {
    "epsilon": "Give a positive target such as 0.3.",
    "delta": "Give a probability below 1 / data set size, such as 1e-10.",
    "trainable": "Give full, head, bitfit, {last_layers: k} or {lora: {rank: r}}.",
}


class _UniqueKeys(yaml.SafeLoader):
    """Plain values; a key that is written twice in one mapping is an error."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key {key.value!r} is written twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node


def load_config(path: Path | str) -> Config:
    """Read and check a configuration file, see `read_yaml` and `check_config`."""
    return check_config(read_yaml(path, "configfile", "The grids are in config/."), source=str(path))


def read_yaml(path: Path | str, name: str, remedy: str) -> Any:
    """Return the values of a YAML file; ``name`` and ``remedy`` are of a message about one that is not there.

    Raises:
        MissingFile: there is no such file.
        ConfigError: not YAML, or a key is written twice, of which YAML readers keep the last without a word.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFile(f"{name} = {str(path)!r}: is not there. {remedy}") from None
    except (OSError, ValueError) as error:
        given, reason = shortened(repr(str(path))), shortened(str(error))
        raise MissingFile(f"{name} = {given}: cannot be read ({reason}). {remedy}") from None
    try:
        return _UniqueKeys(text).get_single_data()
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(str(path), [Fault("file", str(path), f"is not valid YAML ({error})")]) from None


def check_config(values: Any, *, source: str = "config") -> Config:
    """Check plain values, as read from YAML or given by Snakemake; a `ConfigError` has all faults."""
    config = validated(Config, values, source=source, remedies=REMEDIES)
    if faults := contradictions(config):
        raise ConfigError(source, faults)
    return config


def validated(top: type[T], values: Any, *, source: str, remedies: Mapping[str, str]) -> T:
    """Return plain values, as read from a file, as its section ``top``.

    ``remedies`` say what to give instead, by the name of the key or of the one that it lies in.
    """
    try:
        return top.model_validate(values)
    except ValidationError as error:
        found: dict[str, Fault] = {}
        for item in error.errors():
            fault = _fault(item, _path(item, values), top, remedies)
            same = found.get(fault.name)  # a value that fits no branch of a union: one rule a branch
            found[fault.name] = replace(fault, rule=f"{same.rule}, or {fault.rule}") if same else fault
        raise ConfigError(source, found.values()) from None


def schema() -> dict[str, Any]:
    """Return the JSON schema generated from the types above."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def _path(item: Any, values: Any) -> list[Any]:
    """The keys and places of a fault in the file; left out are the branches of unions, which pydantic names."""
    found: list[Any] = []
    for part in item["loc"]:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        elif item["type"] != "missing" or part != item["loc"][-1]:
            continue
        found.append(part)
    return found


def _fault(item: Any, path: list[Any], top: type[Section], remedies: Mapping[str, str]) -> Fault:
    name = key_path(path if item["loc"][-1:] != ("[key]",) and item["type"] != "invalid_key" else list(map(str, path)))
    if item["type"] == "extra_forbidden":
        keys = _keys_at(path[:-1], top)
        if path[-1] in keys:  # of another branch of a union
            return Fault(name, item["input"], "does not go with the keys beside it", "Leave one out.")
        return Fault(name, item["input"], "unknown key", nearest(str(path[-1]), keys))
    if item["type"] == "missing":
        field = next((known[path[-1]] for known in _fields_at(path[:-1], top) if path[-1] in known), None)
        unknown = field is not None and type(None) in get_args(field.annotation)
        null = f"; write {path[-1]}: null if it is not printed" if unknown else ""
        return Fault(name, None, "is required", f"Add it to the file{null}.")
    rule = item["msg"].removeprefix("Value error, ").removesuffix(".")
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    remedy = remedies.get(key, "")
    if item["type"] == "model_type" and not remedy:
        return Fault(name, item["input"], f"must be a section of keys: {', '.join(_keys_at(path, top))}")
    if item["type"] == "literal_error" and not remedy:
        close = nearest(str(item["input"]), re.findall("'([^']*)'", item["ctx"]["expected"]))
        remedy = close if close.startswith("Did") else ""
    return Fault(name, item["input"], rule[0].lower() + rule[1:], remedy)


def key_path(path: Sequence[Any]) -> str:
    """Return the path to a value, as a reader counts: ``places #1.paper`` is in the first of the places."""
    return "".join(f" #{part + 1}" if isinstance(part, int) else f".{part}" for part in path).lstrip(". ") or "file"


def _keys_at(path: list[Any], top: type[Section]) -> list[str]:
    """The keys allowed at a place of the file."""
    return [field.alias or name for known in _fields_at(path, top) for name, field in known.items()]


def _fields_at(path: list[Any], top: type[Section]) -> list[dict[str, FieldInfo]]:
    """The fields of each section that a place of the file may hold."""
    found: list[Any] = [top]
    for part in path:
        found = [inner for annotation in found for inner in _inside(annotation, part)]
    return [section.model_fields for annotation in found for section in _sections(annotation)]


def _inside(annotation: Any, part: Any) -> list[Any]:
    """The types of what a part of a path leads to: a section's key, or a name that the user chose."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation.model_fields[part].annotation] if part in annotation.model_fields else []
    if get_origin(annotation) is dict:
        return [get_args(annotation)[1]]
    return [inner for one in get_args(annotation) for inner in _inside(one, part)]


def _sections(annotation: Any) -> list[type[Section]]:
    """The sections that a type mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]
