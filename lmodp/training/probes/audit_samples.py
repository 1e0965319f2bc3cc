"""Samples for audits: transcripts drawn coordinate by coordinate by the device's own sampler.

These draws are what a run releases in the canary's coordinates, so they test the sampler,
its table and its random bits. The transcripts are reduced to scores as they are drawn; the
scores go to `lmodp.auditing`, which does not use torch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lmodp.mechanisms import Noise
from lmodp.training.noise import draw
from lmodp.training.randomness import device_generator, sampling_generator

_BLOCK = 1 << 22  # numbers drawn at once, so that the sampler's table is rarely made


def draw_scores(
    noise: Noise,
    *,
    shift: float,
    coordinates: int,
    sampling_rate: float,
    steps: int,
    trials: int,
    included: bool,
    key: str,
    of_coordinates: Callable[[np.ndarray], np.ndarray],
    of_steps: Callable[[np.ndarray], np.ndarray],
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Return the scores (trials,) of transcripts, each of ``steps`` Poisson-sampled noisy sums.

    Args:
        shift: what the canary adds to each coordinate in a step that draws it.
        coordinates, sampling_rate, steps: M, q and T.
        key: of the random streams, see `lmodp.training.randomness.stream_key`.
        of_coordinates: maps a step's released values (n, M), float32, to scores (n,).
        of_steps: maps a step's scores (n,) to what is added up over the steps.
    """
    found = np.zeros(trials)
    size = max(1, _BLOCK // (coordinates * steps))
    world = "included" if included else "excluded"
    for block, start in enumerate(range(0, trials, size)):
        part = found[start : start + size]
        generator = device_generator(key, f"audit {world}", block, device)
        coins = sampling_generator(f"{key} {world}", block).random((steps, len(part), 1)) < (
            sampling_rate if included else 0.0
        )
        noises = draw(noise, (steps, len(part), coordinates), generator, device).cpu().numpy()
        for values, coin in zip(noises, coins, strict=True):
            part += of_steps(of_coordinates(values + shift * coin.astype(np.float32)))
    return found
