"""Scores of a classifier, and answers on single examples as short text in a record, for paired comparisons."""

import base64
from typing import Any

import numpy as np


def score_classification(logits: np.ndarray, labels: np.ndarray, *, f1: bool = False) -> dict[str, Any]:
    """Score logits (N, classes) at labels (N,): accuracy in [0, 1], mean cross entropy in nats, F1 of class 1 if asked
    for.

    ``correct`` has one bit per example in base64 (`unpack_correct`), for paired comparisons.
    """
    predicted = logits.argmax(1)
    correct = predicted == labels
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    return {
        "examples": len(labels),
        "accuracy": float(correct.mean()),
        "loss": float(losses.mean()),
        "correct": pack_correct(correct),
        **({"f1": f1_score(predicted, labels)} if f1 else {}),
    }


def f1_score(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the F1 of class 1 from classes (N,): 2 hits / (predicted + true); 0 if there are neither."""
    hits = int(((predicted == 1) & (labels == 1)).sum())
    total = int((predicted == 1).sum() + (labels == 1).sum())
    return 2 * hits / total if total else 0.0


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
