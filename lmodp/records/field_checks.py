"""Records against the declarations of `lmodp.records.fields`: what is not as declared, and what is public."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lmodp.records.fields import LINES, RECORDS, TYPES, Field, fields_of


@dataclass
class _Node:
    """A field with its declared parts."""

    field: Field | None
    parts: dict[str, _Node]


@cache
def _tree(stage: str, line: bool) -> _Node:
    root = _Node(Field("object", "a record"), {})
    for path, field in fields_of(stage, line=line).items():
        node = root
        for part in path.split("."):
            node = node.parts.setdefault(part, _Node(None, {}))
        node.field = field
    return root


def faults(stage: str, values: Mapping[str, Any], *, line: bool = False, undeclared: bool = True) -> list[str]:
    """Return what of a record, or of a run's line, is not as declared; nothing for an unknown stage.

    Args:
        stage: that wrote it.
        values: the record, or the line.
        line: whether it is a line.
        undeclared: whether a field that is not declared is a fault.
    """
    return list(_faults(_tree(stage, line), values, "", undeclared)) if stage in (LINES if line else RECORDS) else []


def _faults(node: _Node, value: Any, path: str, undeclared: bool) -> Iterator[str]:
    kind = node.field.type if node.field else "any"
    if not _has_type(value, kind):
        yield f"{path} is {type(value).__name__}, must be {kind}"
    elif node.parts:
        for name, part, item in _parts(node, value):
            inner = f"{path}.{name}".lstrip(".")
            if part is not None:
                yield from _faults(part, item, inner, undeclared)
            elif undeclared:
                yield f"{inner} is not declared"


def _parts(node: _Node, value: Any) -> Iterator[tuple[str, _Node | None, Any]]:
    """The entries of an object or a list, each with its declaration."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name), node.parts.get(name, node.parts.get("*")), item
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield str(number), node.parts.get("*"), item


def _has_type(value: Any, kind: str) -> bool:
    if value is None:
        return kind.endswith("?") or kind == "any"
    types = TYPES[kind.removesuffix("?")]
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def public_part(stage: str, values: Mapping[str, Any], *, line: bool = False) -> dict[str, Any]:
    """Return a record, or a run's line, without the fields that are private or depend on the data."""
    kept: dict[str, Any] = _public(_tree(stage, line), values)
    return kept


def _public(node: _Node, value: Any) -> Any:
    if not node.parts or not isinstance(value, (Mapping, list)):
        return value
    kept = {
        name: _public(part, item) if part else item
        for name, part, item in _parts(node, value)
        if part is None or part.field is None or part.field.mark == "public"
    }
    return kept if isinstance(value, Mapping) else list(kept.values())
