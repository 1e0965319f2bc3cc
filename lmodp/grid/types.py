"""The types of single values of the configuration: numbers with bounds, names, paths, and lists without repetition."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

T = TypeVar("T")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)")


def _number(value: Any) -> Any:
    """Read ``1e-10`` as a number: YAML 1.1, which PyYAML and Snakemake read, takes it for text."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _whole(value: Any) -> Any:
    """Read ``2e4`` as a whole number."""
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _distinct(values: list[T]) -> list[T]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"holds {value!r} twice")
    return values


def _path(text: str) -> str:
    if "\0" in text or any(len(part.encode(errors="replace")) > 255 for part in text.split("/")):
        raise ValueError("is no path: a name in it has more than 255 bytes, or holds the character 0")
    return text


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0, le=1e9)]
Rate = Annotated[Number, Field(gt=0, le=1e3)]
Probability = Annotated[Number, Field(gt=0, lt=1)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1, le=10**9)]
Natural = Annotated[Whole, Field(ge=0, le=10**18)]
Trials = Annotated[Whole, Field(ge=100, le=10**8)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Label = Annotated[str, Field(min_length=1, max_length=64)]  # of what others name, such as methods
PathText = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_path)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Source = Literal["embedded", "local", "hub"]
Calibration = Literal["claimed", "verified"]
Several = Annotated[list[T], Field(min_length=1, max_length=1000), AfterValidator(_distinct)]
# One value, or one for each calibration.
ByCalibration = Annotated[
    Annotated[T, Tag("[one]")] | Annotated[dict[Calibration, T], Tag("[each]")],
    Discriminator(lambda value: "[each]" if isinstance(value, dict) else "[one]"),
]
