"""Several processes (ranks) that train one model together: who they are, what they add up, whether they agree.

The draw, the noise and the optimiser's step are computed by every rank, alike; only the clipped sums are shared out.
Without ``torchrun`` there is one rank, and nothing here does anything.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from lmodp.errors import InvalidValue, MissingDevice, require
from lmodp.training.device import device_of_runs, take_gpu

PIECE = 1 << 25  # numbers that are sent at once
PATIENCE = timedelta(hours=2)  # of a rank that waits for the others, which may look at data or score
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One of ``count`` processes, counted from 0."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files."""
        return self.rank == 0

    def deal(self, indices: np.ndarray) -> np.ndarray:
        """Return this rank's examples; of examples that stand by length, every rank gets some of every length."""
        return indices[self.rank :: self.count]

    def add(self, sums: Sequence[Tensor]) -> None:
        """Replace contiguous tensors by their sums over all ranks, which are the same bits everywhere."""
        if self.count == 1:
            return
        piece: list[Tensor] = []
        for number, total in enumerate(sums, 1):
            piece.append(total)
            if number == len(sums) or sum(item.numel() for item in piece) >= PIECE:
                flat = torch.cat([item.view(-1) for item in piece])
                dist.all_reduce(flat)
                for item, value in zip(piece, flat.split([item.numel() for item in piece]), strict=True):
                    item.view(-1).copy_(value)
                piece = []

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return sums of numbers over all ranks, in float64."""
        if self.count == 1:
            return list(numbers)
        on = "cuda" if dist.get_backend() == "nccl" else "cpu"
        found = torch.tensor(numbers, dtype=torch.float64, device=on)
        dist.all_reduce(found)
        return [float(value) for value in found]

    def of_first(self, value: T) -> T:
        """Return the first rank's value."""
        held = [value]
        if self.count > 1:
            dist.broadcast_object_list(held, src=0)
        return held[0]

    def agree(self, facts: Mapping[str, str]) -> None:
        """Compare facts, by name, between the ranks.

        Raises:
            InvalidValue: on every rank; the ranks that differ from the first one are named, with what differs.
        """
        if self.count == 1:
            return
        held: list[Mapping[str, str]] = [{}] * self.count
        dist.all_gather_object(held, dict(facts))
        first = held[0]
        told = [
            f"rank {rank} differs from rank 0 in {', '.join(names)}"
            for rank, other in enumerate(held)
            if (names := [name for name in first if other.get(name) != first[name]])
        ]
        if told:
            raise InvalidValue(
                f"ranks = {self.count}: {'; '.join(told)}. Give every rank the same code, configuration and files."
            )

    def require_work(self, expected_batch_size: float) -> None:
        """Raise `InvalidValue` if there are more ranks than examples in a batch."""
        rule = f"is smaller than the number of ranks, {self.count}: some would never have an example"
        remedy = f"Use at most {int(expected_batch_size)} processes."
        enough = self.count == 1 or expected_batch_size >= self.count
        require(enough, "expected_batch_size", expected_batch_size, rule, remedy)


def ranks() -> Ranks:
    """Return which rank this process is."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def join(wanted: str = "auto") -> Ranks:
    """Join the other processes that ``torchrun`` has started, by nccl on GPUs (one for each rank), else by gloo.

    Raises:
        MissingDevice: GPUs are wanted and there is none, or fewer than ranks on this machine.
    """
    if "RANK" not in os.environ or dist.is_initialized():
        return ranks()
    on_gpu = device_of_runs(wanted).type == "cuda"
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if on_gpu:
        if here > torch.cuda.device_count():
            raise MissingDevice(
                f"ranks = {here} on this machine: it has {torch.cuda.device_count()} GPUs; nccl needs one for each. "
                "Start fewer processes, or choose device cpu."
            )
        take_gpu(wanted)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    return ranks()
