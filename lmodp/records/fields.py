"""Every field of every record, declared once in ``fields.yaml``: its type, its meaning, and what it may give away.

A field is named by its path: ``audit.trials``; ``*`` stands for any key of an object and for any entry of a
list. An object without declared parts is declared elsewhere, and its meaning says where. Records are checked
against these declarations when they are written (an undeclared field is a defect) and when they are read (a field
of another type is damage). The documentation's tables of fields are made from them.

Each field has a mark, its own or that of the field that it is a part of:

- *public*: follows from the configuration, from public data or from the certified release alone;
- *private*: a key or a seed of the noise, or a statistic of its draws; with it the noise can be subtracted;
- *data-dependent*: computed from the training or evaluation examples, and covered by no certificate.

With ``randomness: entropy`` only public fields are written (`public_part`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

PUBLIC, PRIVATE, DATA = "public", "private", "data-dependent"
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "count": (int,),
    "flag": (bool,),
    "object": (dict,),
    "list": (list,),
    "any": (str, int, float, bool, dict, list, type(None)),
}
EVERY = "every"  # name of the fields that all records, or all lines, have


class Field(NamedTuple):
    """A field: type (one of `TYPES`; with ``?`` it may be null), one line of meaning, and mark."""

    type: str
    meaning: str
    mark: str


@dataclass(frozen=True)
class _Node:
    """A field with its declared parts."""

    field: Field
    parts: "Mapping[str, _Node]"

    @classmethod
    def of(cls, told: Any, mark: str = PUBLIC) -> Self:
        """Read ``[mark] type, meaning``, or an object whose ``_`` is this and whose other keys are the parts."""
        told = told if isinstance(told, dict) else {"_": told}
        kind, _, meaning = told.get("_", "object, a record").partition(", ")
        *own, type_ = kind.split()
        field = Field(type_, meaning, own[0] if own else mark)
        return cls(field, {name: cls.of(part, field.mark) for name, part in told.items() if name != "_"})

    def flat(self, above: str = "") -> Iterator[tuple[str, Field]]:
        """All parts by path."""
        for name, part in self.parts.items():
            yield above + name, part.field
            yield from part.flat(f"{above}{name}.")


@cache
def _declared(line: bool) -> dict[str, _Node]:
    import yaml  # not needed where no record is read

    told = yaml.load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return {stage: _Node.of(parts) for stage, parts in told["lines" if line else "records"].items()}


def stages(*, line: bool = False) -> list[str]:
    """Return the stages that write records, or lines of runs."""
    return [name for name in _declared(line) if name != EVERY]


def fields_of(stage: str, *, line: bool = False, own: bool = False) -> dict[str, Field]:
    """Return the declared fields of a stage's record, or of the lines of its runs, by path; its ``own`` alone."""
    return dict((_declared(line)[stage] if own else _whole(stage, line)).flat())


@cache
def _whole(stage: str, line: bool) -> _Node:
    every, own = _declared(line)[EVERY], _declared(line)[stage]
    return _Node(every.field, {**every.parts, **own.parts})


def faults(stage: str, values: Mapping[str, Any], *, line: bool = False, undeclared: bool = True) -> list[str]:
    """Return what of a stage's record, or of a run's line, is not as declared; nothing for an unknown stage."""
    return list(_faults(_whole(stage, line), values, "", undeclared)) if stage in stages(line=line) else []


def _faults(node: _Node, value: Any, path: str, undeclared: bool) -> Iterator[str]:
    kind = node.field.type
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
    entries = value.items() if isinstance(value, Mapping) else enumerate(value if isinstance(value, list) else ())
    for name, item in entries:
        yield str(name), node.parts.get(str(name)) or node.parts.get("*"), item


def _has_type(value: Any, kind: str) -> bool:
    if value is None:
        return kind.endswith("?") or kind == "any"
    types = TYPES[kind.removesuffix("?")]
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def public_part(stage: str, values: Mapping[str, Any], *, line: bool = False) -> dict[str, Any]:
    """Return a record, or a run's line, without the fields that are private or depend on the data."""
    kept: dict[str, Any] = _public(_whole(stage, line), values)
    return kept


def _public(node: _Node, value: Any) -> Any:
    if not node.parts or not isinstance(value, (Mapping, list)):
        return value
    kept = {
        name: _public(part, item) if part else item
        for name, part, item in _parts(node, value)
        if part is None or part.field.mark == PUBLIC
    }
    return kept if isinstance(value, Mapping) else list(kept.values())
