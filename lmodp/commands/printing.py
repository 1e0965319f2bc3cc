"""How commands print: JSON on request, otherwise a readable table."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lmodp.reporting.formats import at_least, at_most


def show(value: dict[str, Any], *, as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    """Print ``value`` as JSON or as ``text(value)``."""
    print(json.dumps(value, indent=2, allow_nan=False) if as_json else text(value))


def number(value: float | None) -> str:
    """Return six significant digits, or a dash for None."""
    return "-" if value is None else f"{value:.6g}"


def step_and_run(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Return an answer's epsilon of one step and of the whole run."""
    return number(answer["epsilon_step"]), number(answer["epsilon_run"])


def interval(ends: Mapping[str, Any]) -> str:
    """Return ``lower to upper`` of an answer with six digits, rounded outwards; a dash for an unknown end."""
    lower, upper = ends["lower"], ends["upper"]
    return f"{'-' if lower is None else at_least(lower, 6)} to {'-' if upper is None else at_most(upper, 6)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under a head, with aligned columns."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
