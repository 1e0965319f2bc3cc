"""Per-example losses: one number per example, the mean over the example's own tokens.

A loss averaged over all tokens of the micro-batch would give an example a weight
that depends on its neighbours' lengths. Its gradient would then no longer depend on
that example alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]  # one number per example, (B,)
IGNORED = -100  # target of a position that carries no loss, as in transformers


def classification_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the cross entropy (B,) of ``model(**inputs)`` at ``batch["labels"]`` (B,)."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits = _logits(model(**inputs))
    return nn.functional.cross_entropy(_wide(logits), batch["labels"], reduction="none")


def causal_lm_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the mean next-token cross entropy (B,) over each example's own targets.

    Args:
        batch: ``input_ids`` and ``labels`` (B, T), ``labels`` -100 where a token is
            not a target, optionally ``attention_mask``. The labels are shifted, not
            the logits, so that no copy of the (B, T, V) logits is made.

    Edge cases: an example without targets has loss 0 and a zero gradient.
    """
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    targets = nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)
    return token_losses(_logits(model(**inputs, use_cache=False)), targets)


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy (B,) over positions with a target: (B, T, V), (B, T)."""
    flat = nn.functional.cross_entropy(
        _wide(logits).flatten(0, 1), targets.flatten(), reduction="none", ignore_index=IGNORED
    )
    counts = (targets != IGNORED).sum(1)
    return flat.view_as(targets).sum(1) / counts.clamp_min(1)


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _logits(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output.logits
