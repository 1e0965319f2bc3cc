"""``lmodp plan``: check a configuration without weights, and say what each cell would take."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lmodp.commands.printing import number, show, table
from lmodp.data.cards import DATASETS
from lmodp.data.hub import hub_entry
from lmodp.errors import InvalidValue, Unsupported
from lmodp.grid.cells import Cell, Grid
from lmodp.grid.config import load_config
from lmodp.models.cards import MODELS
from lmodp.records.record import read_record
from lmodp.stages.calibrate_noise import calibrate_noise

NOTES = (
    "memory: of one training step, estimated (16 bytes a trained weight, activations after Korthikanti et al. 2022).",
    "time: work over the measured rate of a small model on this machine, at the mean length where the results folder has the "
    "tokens' record and at the longest length elsewhere; evaluation, and the one pass that fills a cache of frozen layers' "
    "outputs, not included.",
    "verified: upper bound of the whole run's epsilon; it is what holds.",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--configfile", type=Path, default=Path("config/quick.yaml"), help="the grid; config/quick.yaml unless named"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--rate", type=float, metavar="FLOPS", help="products and sums a second, in place of a measurement here"
    )
    parser.add_argument(
        "--without-privacy",
        action="store_true",
        help="leave out the verified epsilon, which takes about a second a mechanism",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; the exit status is 1 where a model cannot be clipped per example."""
    grid = Grid(load_config(arguments.configfile))
    rate = arguments.rate or _measured_rate()
    plan = plan_grid(grid, rate=rate, privacy=not arguments.without_privacy)
    show(plan, as_json=arguments.json, text=_text)
    return 1 if any(item["problem"] for item in plan["models"]) else 0


def plan_grid(grid: Grid, *, rate: float, privacy: bool = True) -> dict[str, Any]:
    """Return models at their true sizes and one entry a cell.

    Args:
        grid: of the configuration.
        rate: products and sums a second.
        privacy: whether the verified epsilon of each mechanism is computed.
    """
    sizes: dict[str, dict[str, Any]] = {}
    cells = [_plan_cell(cell, grid, sizes, rate, privacy) for cell in grid.cells.values()]
    return {
        "grid": grid.config.grid,
        "rate": rate,
        "models": list(sizes.values()),
        "cells": cells,
        "notes": list(NOTES),
    }


def _plan_cell(cell: Cell, grid: Grid, sizes: dict[str, dict[str, Any]], rate: float, privacy: bool) -> dict[str, Any]:
    spec, training = cell.spec, cell.spec["training"]
    part = json.dumps([spec["experiment"], spec["trainable"]])  # a method may train another part than its experiment
    if part not in sizes:
        sizes[part] = _size(spec)
    size = sizes[part]
    flops = _flops(cell, size, mean_length=_mean_length(cell.tokens, grid))
    examples = training["expected_batch_size"] * training["steps"] * cell.repetitions
    entry = {
        "cell": cell.id,
        "experiment": spec["experiment"],
        **{name: spec[name] for name in ("method", "calibration", "epsilon", "delta")},
        "sampling_rate": training["expected_batch_size"] / spec["dataset_size"],
        "steps": training["steps"],
        "runs": cell.repetitions,
        "memory_bytes": size["memory_bytes"],
        "seconds": None if flops is None else flops * examples / rate,
        "verified": None,
        "reason": "; ".join(filter(None, (cell.skip, size["problem"], _unpinned(spec, grid)))) or None,
    }
    if privacy and cell.skip is None:
        answer = _verified(cell, grid, size["trainable"])
        entry |= {"verified": answer.get("verified"), "reason": entry["reason"] or answer.get("reason")}
    return entry


def _unpinned(spec: Mapping[str, Any], grid: Grid) -> str | None:
    """Which of the cell's files the hub cannot be asked for, because no commit of them is known here."""
    wanted = {
        "dataset": (spec["dataset"], spec["source"]),
        "model": (spec["model"], spec["model_source"] or spec["source"]),
    }
    faults = []
    for kind, (name, source) in wanted.items():
        try:
            if source == "hub":
                hub_entry(name, kind=kind, revisions=grid.config.hub_revisions)
        except InvalidValue as error:
            faults.append(str(error))
    return " ".join(faults) or None


def _flops(cell: Cell, size: Mapping[str, Any], *, mean_length: float | None) -> float | None:
    """Products and sums an example; behind cached outputs of a frozen prefix only the trained part runs.

    Micro-batches hold examples of like lengths and are padded to the longest of their own, so that the
    mean length counts; attention's share, which grows faster, is small at these lengths.
    """
    longest = cell.spec["max_length"]
    length = mean_length or longest
    if cell.activations is None or size["trainable"] is None:
        return None if size["flops_per_example"] is None else size["flops_per_example"] * length / longest
    return 6 * size["trainable"] * (1 if cell.spec["trainable"] == "head" else length)


@cache
def _mean_length(tokens_id: str, grid: Grid) -> float | None:
    """The mean length of the training examples, where their tokens have been counted."""
    path = grid.config.results / "tokens" / tokens_id / "tokens.json"
    return read_record(path)["splits"]["train"]["mean_length"] if path.is_file() else None


def _size(spec: Mapping[str, Any]) -> dict[str, Any]:
    data = DATASETS[spec["dataset"]]
    asked = {
        "model": spec["model"],
        "classes": len(data.labels) or None,
        **{name: spec[name] for name in ("trainable", "pooling", "max_length", "layers")},
        "training": {name: spec["training"][name] for name in ("micro_batch_size", "precision")},
    }
    return {
        "experiment": spec["experiment"],
        "model": MODELS[spec["model"]].title,
        "dataset": data.title,
        **_size_of(json.dumps(asked)),
    }


@cache
def _size_of(asked: str) -> dict[str, Any]:
    """The size of a model under a task and a trained part, given as JSON; several experiments ask for the same one."""
    from lmodp.estimate.true_size import true_size  # loads torch, which a faulty configuration need not wait for

    values = json.loads(asked)
    try:
        return vars(true_size(MODELS[values.pop("model")], **values))
    except Unsupported as error:
        return {
            **dict.fromkeys(("parameters", "trainable", "tapped", "memory_bytes", "flops_per_example")),
            "problem": str(error),
        }


def _verified(cell: Cell, grid: Grid, dimension: int | None) -> dict[str, Any]:
    """The upper bound of the mechanism that the cell would be trained under."""
    try:
        return _verified_of(
            cell.mechanism, grid, dimension if grid.mechanisms[cell.mechanism].spec["released"] else None
        )
    except Unsupported as error:
        return {"reason": str(error)}


@cache
def _verified_of(mechanism_id: str, grid: Grid, dimension: int | None) -> dict[str, Any]:
    from lmodp.accounting import verified_upper
    from lmodp.mechanisms import noise_from_dict

    spec = grid.mechanisms[mechanism_id].spec
    answer = calibrate_noise(spec, grid.methods[spec["method"]], _search(mechanism_id, grid), dimension=dimension)
    if answer["noise"] is None:
        return {"reason": answer.get("reason")}
    rate = spec["expected_batch_size"] / spec["dataset_size"]
    upper = verified_upper(
        noise_from_dict(answer["noise"]), sampling_rate=rate, steps=spec["steps"], delta=spec["delta"]
    )
    return {"verified": upper}


def _search(mechanism_id: str, grid: Grid) -> dict[str, Any] | None:
    item = grid.search_of(grid.mechanisms[mechanism_id].spec)
    return None if item is None else _search_of(item.id, grid)


@cache
def _search_of(search_id: str, grid: Grid) -> dict[str, Any]:
    from lmodp.stages.search_noise import search_noise

    return {"status": "done", "reason": None, **search_noise(grid.searches[search_id].spec)}


def _measured_rate() -> float:
    import torch

    from lmodp.estimate.throughput import measure_throughput

    return measure_throughput(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _text(plan: Mapping[str, Any]) -> str:
    models = table(
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
    cells = table(
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
                number(cell["verified"]),
                _gigabytes(cell["memory_bytes"]),
                _duration(cell["seconds"]),
                cell["reason"] or "",
            )
            for cell in plan["cells"]
        ],
    )
    total = sum(cell["seconds"] or 0 for cell in plan["cells"])
    head = f"{plan['grid']}: {len(plan['cells'])} cells, {_duration(total)} in all at {plan['rate'] / 1e9:.3g} GFLOP/s"
    return "\n".join([models, "", cells, "", head, *plan["notes"]])


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
