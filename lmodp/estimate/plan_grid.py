"""Estimates the cost of a grid, cell by cell: model size, memory, hours, and the verified epsilon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from lmodp.data.hub_lock import hub_entry
from lmodp.errors import InvalidValue, Unsupported
from lmodp.grid.cells import Cell, Grid
from lmodp.models.cards import ModelCard, card_of
from lmodp.records.record import read_record
from lmodp.specs import CellSpec
from lmodp.stages.calibrate_noise import calibrate_noise

NOTES = (
    "memory: estimate for one training step (16 bytes per trained weight, activations after Korthikanti et al. 2022).",
    "time: estimated work divided by the measured speed of a small model on this machine. It uses the mean length of "
    "the examples if they are tokenized, otherwise the longest length. It does not include evaluation, nor the one "
    "pass that fills a cache of frozen layers' outputs.",
    "verified: upper bound on epsilon of the whole run, the epsilon you may state.",
)


def plan_grid(grid: Grid, *, rate: float, privacy: bool = True) -> dict[str, Any]:
    """Return models at their true sizes and one entry per cell.

    Args:
        grid: of the configuration.
        rate: products and sums per second.
        privacy: whether to compute the verified epsilon of each mechanism.
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
    spec, training = cell.spec, cell.spec.training
    part = json.dumps([spec.experiment, spec.trainable])  # a method may train another part than its experiment does
    if part not in sizes:
        sizes[part] = _size(spec, grid.config.model_cards[spec.model])
    size = sizes[part]
    flops = _flops(cell, size, mean_length=_mean_length(cell.tokens, grid))
    examples = training.expected_batch_size * training.steps * cell.repetitions
    entry = {
        "cell": cell.id,
        "experiment": spec.experiment,
        **{name: getattr(spec, name) for name in ("method", "calibration", "epsilon", "delta")},
        "sampling_rate": training.expected_batch_size / spec.dataset_size,
        "steps": training.steps,
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


def _unpinned(spec: CellSpec, grid: Grid) -> str | None:
    """Which of the cell's files cannot be downloaded from the hub, because no commit is pinned for them."""
    wanted = {
        "dataset": (spec.dataset, spec.source),
        "model": (spec.model, spec.model_source or spec.source),
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
    """Products and sums per example; if a frozen prefix's outputs are cached, only the trained part runs.

    Micro-batches contain examples of similar length, padded to the longest of them, so the mean length
    decides. Attention grows faster than linearly, but its share is small at these lengths.
    """
    longest = cell.spec.max_length
    length = mean_length or longest
    if cell.activations is None or size["trainable"] is None:
        return None if size["flops_per_example"] is None else size["flops_per_example"] * length / longest
    return 6 * size["trainable"] * (1 if cell.spec.trainable == "head" else length)


@cache
def _mean_length(tokens_id: str, grid: Grid) -> float | None:
    """The mean length of the training examples, if their tokens have been counted."""
    path = grid.config.results / "tokens" / tokens_id / "tokens.json"
    return read_record(path)["splits"]["train"]["mean_length"] if path.is_file() else None


def _size(spec: CellSpec, card: ModelCard) -> dict[str, Any]:
    data, own = spec.card, spec.own_model
    asked = {
        "model": [spec.model, own, None if own is None else card.config],
        "classes": len(data.labels) or None,
        **{name: getattr(spec, name) for name in ("trainable", "pooling", "max_length", "layers")},
        "training": {name: getattr(spec.training, name) for name in ("micro_batch_size", "precision")},
    }
    return {
        "experiment": spec.experiment,
        "model": card.title,
        "dataset": data.title,
        **_size_of(json.dumps(asked)),
    }


@cache
def _size_of(asked: str) -> dict[str, Any]:
    """The size of a model for a task and a trained part (given as JSON); cached, as several experiments share it."""
    from lmodp.estimate.true_size import true_size  # loads torch, which a faulty configuration need not wait for

    values = json.loads(asked)
    try:
        return vars(true_size(card_of(*values.pop("model")), **values))
    except Unsupported as error:
        return {
            **dict.fromkeys(("parameters", "trainable", "tapped", "memory_bytes", "flops_per_example")),
            "problem": str(error),
        }


def _verified(cell: Cell, grid: Grid, dimension: int | None) -> dict[str, Any]:
    """The verified upper bound of the cell's mechanism."""
    counted = dimension if grid.mechanisms[cell.mechanism].released else None
    try:
        return _verified_of(cell.mechanism, grid, counted)
    except Unsupported as error:
        return {"reason": str(error)}


@cache
def _verified_of(mechanism_id: str, grid: Grid, dimension: int | None) -> dict[str, Any]:
    from lmodp.accounting import verified_upper
    from lmodp.mechanisms import noise_from_dict

    spec = grid.mechanisms[mechanism_id]
    search = _search_of(spec.search.id, grid) if spec.search else None
    answer = calibrate_noise(spec, grid.methods[spec.method], search, dimension=dimension)
    if answer["noise"] is None:
        return {"reason": answer.get("reason")}
    plan = spec.plan(noise_from_dict(answer["noise"]))
    upper = verified_upper(plan.given_noise, sampling_rate=plan.sampling_rate, steps=plan.steps, delta=plan.given_delta)
    return {"verified": upper}


@cache
def _search_of(search_id: str, grid: Grid) -> dict[str, Any]:
    from lmodp.stages.search_noise import search_noise

    return {"status": "done", "reason": None, **search_noise(grid.searches[search_id].to_dict())}


def measured_rate() -> float:
    """Return products and sums per second of this machine, from a few steps of a small model."""
    import torch

    from lmodp.estimate.throughput import measure_throughput

    return measure_throughput(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
