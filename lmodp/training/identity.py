"""What must be equal for a resumed run to end with the same bytes, part by part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lmodp.plan import Plan
from lmodp.training.examples import Examples
from lmodp.training.losses import Loss
from lmodp.training.settings import TrainingSettings

PIECE = 1024  # examples hashed at a time
TRIED = 4  # examples whose losses tell one loss from another


def run_identity(
    model: nn.Module,
    plan: Plan,
    settings: TrainingSettings,
    seeds: Mapping[str, int],
    examples: Examples,
    loss: Loss,
) -> dict[str, str]:
    """Return a hash or a value for every part of a run, by name.

    The data are hashed whole, and so are trained and frozen weights and the model's buffers. The loss is known by
    what it gives for the first examples, to three digits, because a function cannot be hashed.
    """
    chosen = {key: value for key, value in settings.to_dict().items() if key != "checkpoint_every"}
    named = list(model.named_parameters())
    trained = [(name, value) for name, value in named if value.requires_grad]
    frozen = [*((name, value) for name, value in named if not value.requires_grad), *model.named_buffers()]
    return {
        "plan": _digest_of(plan.to_dict()),
        "settings": _digest_of(chosen),
        "seeds": _digest_of(dict(seeds)),
        "version of torch": str(torch.__version__),
        "number of threads": str(torch.get_num_threads()),
        "initial weights": _digest(trained),
        "frozen weights": _digest(frozen),
        "data": _digest(_pieces(examples)),
        "loss": _digest_of(_first_losses(model, examples, loss)),
    }


def _pieces(examples: Examples) -> Iterable[tuple[str, torch.Tensor]]:
    for start in range(0, len(examples), PIECE):
        yield from examples.batch(np.arange(start, min(start + PIECE, len(examples)))).items()


def _first_losses(model: nn.Module, examples: Examples, loss: Loss) -> list[str]:
    training = model.training
    model.eval()
    with torch.no_grad():
        values = loss(model, examples.batch(np.arange(min(TRIED, len(examples)))))
    model.train(training)
    return [f"{float(value):.3g}" for value in values]


def _digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    found = hashlib.sha256()
    for name, tensor in tensors:
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
