"""The stage measure_cost: time per step, peak memory and the ratio to non-private, from the cells' timing.jsonl.

Measured times differ from run to run. So two runs of one spec may differ in
``timing.jsonl``, in this table and in the report that shows it, and in nothing else.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from lmodp.records.places import timings_of
from lmodp.reporting.formats import NOTHING, as_written, number
from lmodp.reporting.tables.render import Notes, Page, Table, write_table

COLUMNS = tuple(
    """
    experiment method calibration epsilon delta runs device threads seconds_a_step over_nonprivate
    seconds_a_run peak_memory_bytes peak_memory_of status reason cell
    """.split()
)
TIMES = ("ms per step", "time, × non-private", "s per run", "peak memory, MiB")
HEADS = ("method", "at equal", "target ε", *TIMES, "device", "runs")
RESUMED = "no run was timed from its first to its last step"


def measure_cost(results: Mapping[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Write the cost table into a folder and return its rows; ``root`` holds the runs' ``timing.jsonl``."""
    results = as_written(results)
    rows = [_cell(cell, results, root) for cell in results["cells"]]
    for row in rows:
        row["over_nonprivate"] = _ratio(row, rows)
    title = f"Cost: {results['title'] or results['grid']}"
    write_table("cost", cost_pages(results, rows), pd.DataFrame(rows, columns=list(COLUMNS)), folder, title=title)
    return {"rows": rows}


def _cell(cell: Mapping[str, Any], results: Mapping[str, Any], root: Path) -> dict[str, Any]:
    names = ("experiment", "method", "calibration", "epsilon", "delta", "cell", "status", "reason")
    row = {**dict.fromkeys(COLUMNS), **{name: cell[name] for name in names}, "runs": 0}
    steps = results["experiments"][cell["experiment"]]["steps"]
    timings = [item for item in timings_of(root, cell["cell"]) if item["steps_run"] == steps]
    if not timings:
        return {**row, "reason": cell["reason"] or RESUMED}
    seconds = median(item["wall_seconds"] for item in timings)
    return {
        **row,
        "runs": len(timings),
        "device": " and ".join(sorted({item["device"] for item in timings})),
        "threads": max(item["threads"] for item in timings),
        "seconds_a_step": seconds / steps,
        "seconds_a_run": seconds,
        "peak_memory_bytes": max(item["peak_memory_bytes"] for item in timings),
        "peak_memory_of": timings[0]["peak_memory_of"],
    }


def _ratio(row: Mapping[str, Any], rows: list[dict[str, Any]]) -> float | None:
    """Time per step, divided by that of the experiment's non-private cell on the same device."""
    of_it = (item for item in rows if item["experiment"] == row["experiment"] and item["calibration"] is None)
    plain = next(of_it, {"seconds_a_step": None})
    if None in (row["seconds_a_step"], plain["seconds_a_step"]) or plain["device"] != row["device"]:
        return None
    return row["seconds_a_step"] / plain["seconds_a_step"]


def cost_pages(results: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[Page]:
    """Return one table per experiment, one row per cell."""
    return [
        _page(name, facts, [row for row in rows if row["experiment"] == name], results)
        for name, facts in results["experiments"].items()
    ]


def _page(name: str, facts: Mapping[str, Any], rows: list[dict[str, Any]], results: Mapping[str, Any]) -> Page:
    notes = Notes()
    devices = sorted({row["peak_memory_of"] for row in rows if row["peak_memory_of"]})
    caption = (
        "Median over the runs of a cell. The time includes sampling, forward and backward passes, clipping, noise "
        "and update, but not the preparation of data and model. Peak memory: "
        f"{' or '.join(devices) or 'not measured'}. Times are measured and differ from run to run."
    )
    texts = [_row(row, results, notes) for row in rows]
    seconds = ("seconds_a_step", "over_nonprivate", "seconds_a_run")
    values = [
        (None, None, row["epsilon"], *(row[name] for name in seconds), row["peak_memory_bytes"], None, row["runs"])
        for row in rows
    ]
    return Page(facts["title"], caption, [Table("", HEADS, texts, values, [row["cell"] for row in rows])], notes)


def _row(row: Mapping[str, Any], results: Mapping[str, Any], notes: Notes) -> tuple[str, ...]:
    head = (
        results["methods"][row["method"]]["title"],
        row["calibration"] or NOTHING,
        NOTHING if row["epsilon"] is None else f"{row['epsilon']:g}",
    )
    if row["seconds_a_step"] is None:
        return (*head, *[f"{NOTHING} {notes.mark(row['reason'])}"] * 5, "0")
    ratio = number(row["over_nonprivate"], 3)
    if not row["over_nonprivate"]:
        ratio = f"{NOTHING} {notes.mark('no non-private run on the same device')}"
    return (
        *head,
        number(1000 * row["seconds_a_step"], 3),
        ratio,
        number(row["seconds_a_run"], 3),
        f"{row['peak_memory_bytes'] / 2**20:,.0f}",
        f"{row['device']}, {row['threads']} threads",
        str(row["runs"]),
    )
