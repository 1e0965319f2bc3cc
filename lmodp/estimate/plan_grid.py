"""Estimates the cost of a grid, cell by cell: model size, memory, hours, and the verified epsilon."""

import json
import time
from functools import cache
from typing import Any

from lmodp.data.locks import hub_entry
from lmodp.errors import InvalidValue, Unsupported
from lmodp.estimate.seconds import GPU_RATE, cell_seconds, slowness
from lmodp.estimate.space import cell_memory, disk_of
from lmodp.grid.cells import Cell, Grid
from lmodp.models.cards import ModelCard, card_of
from lmodp.specs import CellSpec
from lmodp.stages.calibrate_noise import calibrate_noise

TRAINING = 0.66  # of a core's speed in products that training reaches: 80 of 121 on the reference machine
NOTES = (
    "memory: largest resident set of a run, estimated (20 bytes per trained weight, activations after Korthikanti et "
    "al. 2022, the cached outputs of frozen layers); with device: cuda, that of the GPU beside it.",
    "time: of one core (with device: cuda, of one GPU), scores included; work counted in operations.",
    "disk: weights of all runs; data, tokens, models and activations are shared. A run in progress has a checkpoint of "
    "up to 16 bytes per trained weight beside them.",
    "verified: upper bound on epsilon of the whole run, the epsilon you may state.",
)


def plan_grid(grid: Grid, *, privacy: bool = False) -> dict[str, Any]:
    """Return models at their true sizes and one entry per cell.

    Args:
        grid: of the configuration; its ``device`` and ``machine`` decide the time.
        privacy: whether to compute the verified epsilon of each mechanism.
    """
    sizes: dict[str, dict[str, Any]] = {}
    cells = [_plan_cell(cell, grid, sizes, privacy) for cell in grid.cells.values()]
    return {
        "grid": grid.config.grid,
        "device": grid.config.device,
        "models": list(sizes.values()),
        "cells": cells,
        "notes": list(NOTES),
    }


def _plan_cell(cell: Cell, grid: Grid, sizes: dict[str, dict[str, Any]], privacy: bool) -> dict[str, Any]:
    spec, training = cell.spec, cell.spec.training
    part = json.dumps([spec.experiment, spec.trainable])  # a method may train another part than its experiment does
    if part not in sizes:
        sizes[part] = _size(cell, grid.config.model_cards[spec.model])
    size, (memory, gpu_memory) = sizes[part], cell_memory(cell, grid)
    entry = {
        "cell": cell.id,
        "experiment": spec.experiment,
        **{name: getattr(spec, name) for name in ("method", "calibration", "epsilon", "delta")},
        "sampling_rate": training.expected_batch_size / spec.dataset_size,
        "steps": training.steps,
        "runs": cell.repetitions,
        "memory_bytes": memory,
        "gpu_memory_bytes": gpu_memory,
        "disk_bytes": disk_of("finetune_model", cell.id, grid),
        "seconds": None if size["parameters"] is None else cell_seconds(cell, grid) * slowness(grid.config),
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


def _size(cell: Cell, card: ModelCard) -> dict[str, Any]:
    spec = cell.spec
    data, own = spec.card, spec.own_model
    asked = {
        "model": [spec.model, own, None if own is None else card.config],
        "classes": len(data.labels) or None,
        **{name: getattr(spec, name) for name in ("trainable", "pooling", "max_length", "layers")},
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
            **dict.fromkeys(("parameters", "trainable", "tapped", "flops_per_example")),
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
    from lmodp.accounting import rdp_upper_of
    from lmodp.mechanisms import released

    spec = grid.mechanisms[mechanism_id]
    search = _search_of(spec.search.id, grid) if spec.search else None
    answer = calibrate_noise(spec, grid.methods[spec.method], search, dimension=dimension)
    if answer["noise"] is None:
        return {"reason": answer.get("reason")}
    return {"verified": rdp_upper_of(spec.plan(**released(answer)))}


@cache
def _search_of(search_id: str, grid: Grid) -> dict[str, Any]:
    from lmodp.stages.search_noise import search_noise

    return {"status": "done", "reason": None, **search_noise(grid.searches[search_id].to_dict())}


def measured_rate() -> float:
    """Return operations per second of training: of one core, measured; assumed where this machine has a GPU.

    The fastest of five moments of 0.03 s counts: what else runs on the machine slows the others.
    """
    import torch

    if torch.cuda.is_available():
        return GPU_RATE
    torch.set_num_threads(1)
    left, right = torch.ones(2048, 384), torch.ones(384, 1536)
    left @ right  # the first product prepares the library
    return TRAINING * 2 * 2048 * 384 * 1536 * max(_products(left, right, 0.03) for _ in range(5))


def _products(left: Any, right: Any, seconds: float) -> float:
    """Return matrix products per second of processor time."""
    begun, products = time.process_time(), 0
    while time.process_time() < begun + seconds:
        left @ right
        products += 1
    return products / (time.process_time() - begun)
