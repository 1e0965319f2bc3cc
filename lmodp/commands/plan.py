"""``lmodp plan``: check a configuration without weights, and estimate the cost of each cell."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmodp.commands.arguments import add_grid, config_of, read_grid
from lmodp.commands.printing import number, show, table
from lmodp.reporting.formats import at_most

if TYPE_CHECKING:
    from lmodp.grid.config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    add_grid(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    rate = "operations per second of a core (with device: cuda, of a GPU); without it machine.rate, else as measured"
    parser.add_argument("--rate", type=float, metavar="FLOPS", help=rate)
    parser.add_argument("--privacy", action="store_true", help="compute the verified epsilon too, up to a second each")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; the exit status is 1 if a model cannot be clipped per example."""
    config = config_of(read_grid(arguments))
    from lmodp.estimate.plan_grid import plan_grid
    from lmodp.estimate.seconds import slowness
    from lmodp.grid.cells import Grid
    from lmodp.pipeline.bundles import Bundles
    from lmodp.pipeline.cluster import disk_bytes, too_large
    from lmodp.pipeline.layout import Layout

    config = _at_rate(config, arguments.rate)
    grid, slower = Grid(config), slowness(config)
    plan = plan_grid(grid, privacy=arguments.privacy)
    bundles = Bundles(Layout(config, grid))
    jobs = {task.thing: bundle.name for bundle in bundles.all.values() for task in bundle.tasks}
    for cell in plan["cells"]:
        cell["job"] = jobs.get(cell["cell"])
    found = bundles.all.values()
    plan |= {
        "jobs": len(found),
        "seconds": slower * sum(bundle.seconds for bundle in found),
        "gpu_hours": sum(bundle.seconds for bundle in found if bundle.gpu_memory) / 3600,
        "longest_way": slower * max(bundles.way.values()),
        "memory_bytes": max(bundle.memory for bundle in found),
        "gpu_memory_bytes": max(bundle.gpu_memory or 0 for bundle in found) or None,
        "disk_bytes": disk_bytes(bundles),
        "rate": config.machine.rate,
        "refused": [str(fault) for fault in too_large(bundles)],
    }
    show(plan, as_json=arguments.json, text=_text)
    return 1 if plan["refused"] or any(item["problem"] for item in plan["models"]) else 0


def _at_rate(config: Config, rate: float | None) -> Config:
    """Return a configuration whose machine has a rate: the given one, its own, or this machine's, measured."""
    from lmodp.estimate.plan_grid import measured_rate
    from lmodp.estimate.seconds import GPU_RATE

    found = rate or config.machine.rate or (GPU_RATE if config.device == "cuda" else measured_rate())
    return config.model_copy(update={"machine": config.machine.model_copy(update={"rate": found})})


def _text(plan: Mapping[str, Any]) -> str:
    one, counts = ("GPU", (8, 64)) if plan["device"] == "cuda" else ("core", (2, 8))
    many = (f"{count} {one}s {_duration(max(plan['seconds'] / count, plan['longest_way']))}" for count in counts)
    head = (
        f"{plan['grid']}: {len(plan['cells'])} cells in {plan['jobs']} jobs, from nothing to the report "
        f"{_duration(plan['seconds'])} of one {one}; {', '.join(many)} ({plan['rate'] / 1e9:.3g} GFLOP/s a {one})",
        f"{plan['gpu_hours']:.3g} GPU hours; memory of the largest job {_gigabytes(plan['memory_bytes'])}"
        + (f" and {_gigabytes(plan['gpu_memory_bytes'])} of a GPU" if plan["gpu_memory_bytes"] else "")
        + f"; disk {_gigabytes(plan['disk_bytes'])}",
        *(f"refused: {fault}" for fault in plan["refused"]),
    )
    return "\n".join([_models(plan), "", _cells(plan), "", *head, *plan["notes"]])


def _models(plan: Mapping[str, Any]) -> str:
    rows = []
    for item in plan["models"]:
        sizes = ("-" if item[key] is None else f"{item[key]:,}" for key in ("parameters", "trainable", "tapped"))
        rows.append((item["experiment"], item["model"], item["dataset"], *sizes))
    return table(("experiment", "model", "data set", "parameters", "trained", "clipped layers"), rows)


def _cells(plan: Mapping[str, Any]) -> str:
    target = ("experiment", "method", "calibration", "epsilon", "delta")
    heads = (*target, "rate", "steps", "runs", "verified", "memory", "of a GPU", "disk", "time", "job", "remark")
    rows = []
    for cell in plan["cells"]:
        numbers = (number(cell[key]) for key in ("epsilon", "delta", "sampling_rate"))
        verified = "-" if cell["verified"] is None else at_most(cell["verified"], 6)
        space = (_gigabytes(cell[key]) for key in ("memory_bytes", "gpu_memory_bytes", "disk_bytes"))
        asked = (cell["experiment"], cell["method"], cell["calibration"] or "-", *numbers)
        ends = (_duration(cell["seconds"]), cell["job"] or "-", cell["reason"] or "")
        rows.append((*asked, str(cell["steps"]), str(cell["runs"]), verified, *space, *ends))
    return table(heads, rows)


def _gigabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 2**30:.2f} GiB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
