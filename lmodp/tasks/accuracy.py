"""Scores of a classifier on an evaluation split."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmodp.tasks.packing import pack_correct


def score_classification(logits: np.ndarray, labels: np.ndarray, *, f1: bool = False) -> dict[str, Any]:
    """Return accuracy, mean cross entropy, and which examples were right.

    Args:
        logits: shape (N, classes).
        labels: shape (N,), whole numbers.
        f1: whether the F1 of class 1 is asked for; the data set's card says so.

    Returns:
        ``accuracy`` in [0, 1], ``loss`` in nats, ``examples`` = N and ``correct``,
        one bit per example in base64 (`unpack_correct`), for paired comparisons.
        Also ``f1`` of class 1 if it is asked for.
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
    """Return the F1 of class 1: 2 hits / (predicted + true); 0 if there are neither.

    Args:
        predicted, labels: shape (N,).
    """
    hits = int(((predicted == 1) & (labels == 1)).sum())
    total = int((predicted == 1).sum() + (labels == 1).sum())
    return 2 * hits / total if total else 0.0
