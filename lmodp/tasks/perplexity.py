"""Perplexity over the targets of a split."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from lmodp.tasks.accuracy import pack_losses
from lmodp.training.examples import Examples, all_batches
from lmodp.training.losses import IGNORED, causal_lm_loss


def perplexity(model: nn.Module, examples: Examples, *, batch_size: int) -> dict[str, Any]:
    """Return exp of the mean negative log probability of a target token, None where it is too large for a number.

    Every target token has the same weight, so long examples count more; the training loss is the mean over examples.
    ``loss`` is in nats per token; ``losses`` are those of the examples (`pack_losses`), for paired comparisons.
    """
    model.eval()
    found = np.zeros((2, len(examples)))
    with torch.no_grad():
        for rows, batch in all_batches(examples, batch_size):
            targets = (batch["labels"][:, 1:] != IGNORED).sum(1)
            found[:, rows] = torch.stack([causal_lm_loss(model, batch).double() * targets, targets]).cpu().numpy()
    total, count = float(found[0].sum()), int(found[1].sum())
    mean = total / count if count else math.nan
    finite = math.isfinite(mean) and mean < 700  # exp(710) is too large for a double
    return {
        "perplexity": math.exp(mean) if finite else None,
        "loss": mean if math.isfinite(mean) else None,
        "target_tokens": count,
        "losses": pack_losses(found),
        "reasons": {} if finite else {"perplexity": _why_none(mean, count)},
    }


def _why_none(mean: float, count: int) -> str:
    if not count:
        return "no example has a target token within max_length"
    return f"the mean loss of a token is {mean:.4g} nats, whose exponential is no number"
