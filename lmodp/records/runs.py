"""The line of one run in a cell's ``training.jsonl``: what it did, with lists of steps or with their sums.

A list with an entry per step is kept for the first repetition of a cell. The others keep what comparisons with
the certified plan need: counts and sums of the examples drawn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

LISTS = ("batch_sizes", "clipped", "diagnostics")


def batch_summary(sizes: Sequence[int], expected: float) -> dict[str, Any]:
    """Return what `lmodp.auditing.conformance` compares of the sizes drawn at each step, when qN is ``expected``.

    ``squares`` is the sum of (size - c)^2, c the whole number nearest to qN; ``commonest``, how often the commonest
    size came.
    """
    centre = round(expected)
    return {
        "steps": len(sizes),
        "examples": sum(sizes),
        "squares": sum((size - centre) ** 2 for size in sizes),
        "commonest": max(Counter(sizes).values(), default=0),
    }


def run_head(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every line of a run begins with."""
    return {name: line[name] for name in ("run", "repetition", "status", "reason")}


def run_line(run: Mapping[str, Any], *, per_step: bool) -> dict[str, Any]:
    """Return the line of a run from all that it logged, its lists with an entry per step if they are to be kept."""
    line = {name: value for name, value in run.items() if name not in LISTS}
    if "batch_sizes" not in run:
        return line
    losses = [loss for loss in run.get("diagnostics", {}).get("training_loss", []) if loss is not None]
    line["batches"] = batch_summary(run["batch_sizes"], run["divisor"])
    line["clipped_examples"] = sum(run["clipped"]) if run["clipped"] else None
    line["mean_training_loss"] = float(f"{fmean(losses):.6g}") if losses else None
    lists = {name: run[name] for name in ("batch_sizes", "clipped")}
    line["per_step"] = {**lists, "training_loss": run["diagnostics"]["training_loss"]} if per_step else None
    return line
