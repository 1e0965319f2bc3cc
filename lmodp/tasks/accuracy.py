"""Scores of a classifier on an evaluation split."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmodp.tasks.packing import pack_correct


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
