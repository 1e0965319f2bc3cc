"""How numbers and targets are written: the same in tables, captions and sentences."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any

NOTHING = "–"
_BREAK = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*|\t")
# Control characters, lone surrogates, marks that turn the direction of writing, and what is no character in XML.
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def as_written(value: Any) -> Any:
    """Return a record's value with every text as every renderer can draw it.

    A line break becomes a space. What is no visible character is shown as its escape, such as ``\\x07``.
    """
    if isinstance(value, str):
        flat = _BREAK.sub(" ", value).strip()
        return _NO_TEXT.sub(lambda found: found[0].encode("unicode_escape").decode(), flat)
    if isinstance(value, Mapping):
        return {key: as_written(item) for key, item in value.items()}
    return [as_written(item) for item in value] if isinstance(value, (list, tuple)) else value


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with the given significant digits, without an exponent if it is readable."""
    if value is None:
        return NOTHING
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text


def at_least(value: float | None, digits: int = 3) -> str:
    """Return a lower end as `number` writes it, rounded downwards, so that the statement stays true."""
    return number(value if value is None else _rounded(value, digits, ROUND_FLOOR), digits)


def at_most(value: float | None, digits: int = 3) -> str:
    """Return an upper end, rounded upwards; ``∞`` where there is none."""
    return "∞" if value is None else number(_rounded(value, digits, ROUND_CEILING), digits)


def _rounded(value: float, digits: int, rounding: str) -> float:
    return float(Context(prec=digits, rounding=rounding).create_decimal_from_float(value))


def interval(lower: float | None, upper: float | None) -> str:
    """Return ``[lower, upper]``, both ends rounded outwards, or a dash if there is neither."""
    return NOTHING if lower is None and upper is None else f"[{at_least(lower)}, {at_most(upper)}]"


def count(value: float) -> str:
    """Return a count with thousands separated."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def plain_list(items: list[str], last: str = "and") -> str:
    """Return ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def trainable_words(part: Any) -> str:
    """Return what is trained, in words, from the configuration's value."""
    if isinstance(part, str):
        return {
            "full": "all parameters",
            "head": "the classification head",
            "bitfit": "biases and the head",
            "none": "nothing",
        }.get(part, part)
    if "last_layers" in part:
        layers = part["last_layers"]
        return f"the last {'layer' if layers == 1 else f'{layers} layers'} and the head"
    lora = part["lora"]
    return f"low-rank adapters of rank {lora['rank']} and the head"
