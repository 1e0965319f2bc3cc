"""Whether a run learned from its data: weights that can be trained, examples that counted, weights that moved.

Noise moves weights as training does. So a run whose examples all fell out looks like any other, unless somebody counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

NEARLY_ALL = 0.9  # of the drawn examples
_SAMPLE = 4096  # numbers of a parameter that are kept
Snapshot = list[tuple[int, Tensor]]


def fault_of_examples(drawn: int, non_finite: int, silent: int) -> str | None:
    """Return why a run learned nothing from the examples that it drew in all steps, or None.

    ``silent`` ones added nothing: those whose gradient was not finite, and those whose gradient was zero.
    """
    if drawn and non_finite >= NEARLY_ALL * drawn:
        return (
            f"the gradients of {non_finite} of {drawn} drawn examples were not finite, and these examples were left "
            "out: nearly nothing but noise moved the weights. Lower the learning rate, or use float32."
        )
    if drawn and silent == drawn:
        return f"the gradients of all {drawn} drawn examples were zero: the weights moved as much as without data"
    return None


def snapshot(parameters: Iterable[nn.Parameter]) -> Snapshot:
    """Return what `unmoved` compares: a hash of each parameter, and some of its numbers."""
    values = [parameter.detach().flatten() for parameter in parameters]
    return [(int(torch.hash_tensor(v).view(torch.int64)), v[:: max(1, len(v) // _SAMPLE)].clone()) for v in values]


def unmoved(before: Snapshot, parameters: Sequence[nn.Parameter], steps: int) -> str | None:
    """Return the reason if no trained weight differs from what it was before the run, or None."""
    moved = any(
        old_hash != new_hash or not torch.equal(old, new)
        for (old_hash, old), (new_hash, new) in zip(before, snapshot(parameters), strict=True)
    )
    return (
        None if moved else f"no trained weight moved in {steps} steps: raise the learning rate, or train another part"
    )
