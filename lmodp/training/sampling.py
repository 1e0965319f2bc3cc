"""Poisson sampling: the sampler that the certificates assume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmodp.errors import require
from lmodp.plan import Plan
from lmodp.training.randomness import sampling_generator


class PoissonSampler:
    """Draws every example independently with the plan's probability at each step.

    Guarantees:
        * Inclusions are independent over examples and steps; batch sizes vary and
          may be 0, and nothing (shuffling, dropping the last) is done about it.
        * A step's draw depends on (key, step) only.

    Args:
        plan: its ``sampling_rate`` q and ``dataset_size`` N are used.
        key: see `lmodp.training.randomness.stream_key`.
    """

    def __init__(self, *, plan: Plan, key: str):
        require(plan.dataset_size is not None, "dataset_size", None, "is needed to draw batches")
        self.plan, self.key = plan, key

    def draw(self, step: int) -> np.ndarray:
        """Return the indices drawn at a step, ascending; int64, possibly none.

        The comparison is with 53 random bits, so the rate is met to 2^-53.
        """
        uniform = sampling_generator(self.key, step).random(self.plan.dataset_size)
        return np.flatnonzero(uniform < self.plan.sampling_rate)


def micro_batches(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield consecutive pieces of at most ``size`` indices; nothing for an empty draw."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
