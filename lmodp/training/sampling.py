"""Poisson sampling, of all examples or of groups in turn: the samplers that the certificates assume."""

from collections.abc import Iterator

import numpy as np

from lmodp.errors import require
from lmodp.plan import Plan
from lmodp.training.randomness import sampling_generator

GROUPS = -1  # in place of a step: the stream that groups are drawn from


class PoissonSampler:
    """Draws every example independently with the plan's probability at each step.

    With b bands (`lmodp.mechanisms.releases.Banded`) every example draws one of b groups once, independently of the
    others; step t draws those of group t mod b with b times the probability.

    Guarantees:
        * Inclusions are independent over examples and steps; batch sizes vary and may be 0, and nothing (shuffling,
          dropping the last) is done about it.
        * A step's draw depends on (key, step) only.
    """

    def __init__(self, *, plan: Plan, key: str):
        require(plan.dataset_size is not None, "dataset_size", None, "is needed to draw batches")
        self.plan, self.key, self.bands = plan, key, plan.releases.correlation.bands
        groups = sampling_generator(key, GROUPS) if self.bands > 1 else None
        self.groups = None if groups is None else groups.integers(self.bands, size=plan.dataset_size)

    def draw(self, step: int) -> np.ndarray:
        """Return the indices drawn at a step, ascending; int64, possibly none.

        The comparison is with 53 random bits, so the rate is met to 2^-53.
        """
        uniform = sampling_generator(self.key, step).random(self.plan.dataset_size)
        rate = self.plan.sampling_rate * self.plan.releases.schedule.at("batch", step)
        if self.groups is None:
            return np.flatnonzero(uniform < rate)
        return np.flatnonzero((uniform < rate * self.bands) & (self.groups == step % self.bands))


def micro_batches(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield consecutive pieces of at most ``size`` indices; nothing for an empty draw."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
