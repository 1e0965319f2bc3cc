"""Answers on single examples as short text in a record, for paired comparisons."""

from __future__ import annotations

import base64

import numpy as np


def pack_correct(correct: np.ndarray) -> str:
    """Return booleans (N,) as base64 text, one bit each."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpack_correct(text: str, examples: int) -> np.ndarray:
    """Return the booleans (N,) that `pack_correct` wrote."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=examples).astype(bool)


def pack_losses(losses: np.ndarray) -> str:
    """Return summed loss in nats and number of target tokens of each example, shape (2, N), as pairs of float32."""
    return base64.b64encode(losses.T.astype("<f4").tobytes()).decode()


def unpack_losses(text: str) -> np.ndarray:
    """Return what `pack_losses` wrote, shape (2, N)."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(-1, 2).T.astype(np.float64)
