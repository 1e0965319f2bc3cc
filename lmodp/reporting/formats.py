"""How numbers and targets are written: the same in tables, captions and sentences."""

from __future__ import annotations

from typing import Any

NOTHING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with the given significant digits, without an exponent if it is readable."""
    if value is None:
        return NOTHING
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text


def interval(lower: float | None, upper: float | None) -> str:
    """Return ``[lower, upper]``, or a dash if there is neither."""
    if lower is None and upper is None:
        return NOTHING
    return f"[{number(lower, 3)}, {'∞' if upper is None else number(upper, 3)}]"


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
        return {"full": "all parameters", "head": "the classification head", "bitfit": "biases and the head"}.get(
            part, part
        )
    if "last_layers" in part:
        layers = part["last_layers"]
        return f"the last {'layer' if layers == 1 else f'{layers} layers'} and the head"
    lora = part["lora"]
    return f"low-rank adapters of rank {lora['rank']} and the head"
