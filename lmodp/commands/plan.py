"""``lmodp plan``: check a configuration without weights, and estimate the cost of each cell."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from lmodp.commands.arguments import add_grid, config_of, read_grid
from lmodp.commands.printing import number, show, table
from lmodp.reporting.formats import at_most


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_grid(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--rate",
        type=float,
        metavar="FLOPS",
        help="products and sums per second; without it, the rate is measured on this machine",
    )
    parser.add_argument(
        "--privacy",
        action="store_true",
        help="compute the verified epsilon too, which takes up to a second per mechanism",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; the exit status is 1 if a model cannot be clipped per example."""
    config = config_of(read_grid(arguments))
    from lmodp.estimate.plan_grid import measured_rate, plan_grid
    from lmodp.estimate.seconds import RATE
    from lmodp.grid.cells import Grid
    from lmodp.pipeline.bundles import Bundles
    from lmodp.pipeline.layout import Layout

    rate, grid = arguments.rate or measured_rate(), Grid(config)
    plan = plan_grid(grid, rate=rate, privacy=arguments.privacy)
    bundles = Bundles(Layout(config, grid))
    work = sum(bundle.seconds for bundle in bundles.all.values()) * RATE / rate
    plan |= {"processes": len(bundles.all), "seconds": work, "longest_way": max(bundles.way.values()) * RATE / rate}
    show(plan, as_json=arguments.json, text=_text)
    return 1 if any(item["problem"] for item in plan["models"]) else 0


def _text(plan: Mapping[str, Any]) -> str:
    cores = (f"{count} cores {_duration(max(plan['seconds'] / count, plan['longest_way']))}" for count in (2, 8))
    head = (
        f"{plan['grid']}: {len(plan['cells'])} cells in {plan['processes']} processes, from nothing to the report "
        f"{_duration(plan['seconds'])} of one core; {', '.join(cores)} ({plan['rate'] / 1e9:.3g} GFLOP/s a core)"
    )
    return "\n".join([_models(plan), "", _cells(plan), "", head, *plan["notes"]])


def _models(plan: Mapping[str, Any]) -> str:
    return table(
        ("experiment", "model", "data set", "parameters", "trained", "clipped layers", "memory"),
        [
            (
                item["experiment"],
                item["model"],
                item["dataset"],
                _whole(item["parameters"]),
                _whole(item["trainable"]),
                _whole(item["tapped"]),
                _gigabytes(item["memory_bytes"]),
            )
            for item in plan["models"]
        ],
    )


def _cells(plan: Mapping[str, Any]) -> str:
    return table(
        (
            "experiment",
            "method",
            "calibration",
            "epsilon",
            "delta",
            "rate",
            "steps",
            "runs",
            "verified",
            "memory",
            "time",
            "remark",
        ),
        [
            (
                cell["experiment"],
                cell["method"],
                cell["calibration"] or "-",
                number(cell["epsilon"]),
                number(cell["delta"]),
                number(cell["sampling_rate"]),
                str(cell["steps"]),
                str(cell["runs"]),
                "-" if cell["verified"] is None else at_most(cell["verified"], 6),
                _gigabytes(cell["memory_bytes"]),
                _duration(cell["seconds"]),
                cell["reason"] or "",
            )
            for cell in plan["cells"]
        ],
    )


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _gigabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 2**30:.2f} GiB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
