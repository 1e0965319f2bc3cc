"""The search for learning rate and clip norm: the same budget for every method, stated in the record.

Every pair of the configuration's lists is trained once, under the plan and with the
noise of the cell but with seeds of its own, and the pair of least mean loss on the
validation split is used for all repetitions. What the search itself costs in
privacy is not counted, for no method, and the record says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from lmodp.specs import CellSpec, TrainingSpec

SPLIT = "validation"
REPETITION = -1  # of the trials' seeds, which no run has
PRIVACY_COST = "not counted, for no method"


def candidates(training: TrainingSpec) -> list[dict[str, float]]:
    """Return the pairs that every method tries; the configuration's own pair where nothing is searched."""
    tuning = training.tuning or {}
    rates = tuning.get("learning_rate") or [training.learning_rate]
    norms = tuning.get("clip_norm") or [training.clip_norm]
    return [{"learning_rate": rate, "clip_norm": norm} for rate, norm in product(rates, norms)]


def tune(spec: CellSpec, attempt: Callable[[Mapping[str, float]], float]) -> dict[str, Any]:
    """Try every candidate and return the record of the search.

    Args:
        spec: of the cell.
        attempt: trains with a candidate and returns the mean loss on the validation
            split; NaN or infinite where training diverged.

    Returns:
        ``budget`` (number of candidates), ``trials``, ``chosen`` and how it was
        chosen. With a single candidate nothing is trained.

    Edge cases: the first of equals is taken; if every candidate diverges, the first.
    """
    known = candidates(spec.training)
    losses = [attempt(candidate) for candidate in known] if len(known) > 1 else [math.nan]
    ranked = [loss if math.isfinite(loss) else math.inf for loss in losses]
    return {
        "budget": len(known),
        "trials": [
            {**candidate, "validation_loss": loss if math.isfinite(loss) else None}
            for candidate, loss in zip(known, losses, strict=True)
        ]
        if len(known) > 1
        else [],
        "chosen": known[ranked.index(min(ranked))],
        "criterion": f"least mean loss on the {SPLIT} split"
        if len(known) > 1
        else "one setting for all methods, from the configuration",
        "scored_on_the_same_split": len(known) > 1 and spec.card.evaluation_split == SPLIT,
        "privacy_cost": PRIVACY_COST,
    }
