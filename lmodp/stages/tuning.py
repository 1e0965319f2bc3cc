"""The search for learning rate and clip norm: the same budget for every method, stated in the record.

Every pair of the configuration's lists is trained once, under the plan and with the noise of the cell but with seeds of
its own, and the pair of least mean loss on examples that no run trains on is used for all repetitions: training
examples that are held out, the same for all methods, or else the validation split. What the search itself costs in
privacy is not counted, for no method, and the record says so.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lmodp.seeds import derive_seed
from lmodp.specs import CellSpec, TrainingSpec
from lmodp.stages.cell_runs import Task
from lmodp.training.examples import Examples, SomeExamples
from lmodp.vocabulary import UNTRAINED

SPLIT = "validation"
REPETITION = -1  # of the trials' seeds, which no run has
PRIVACY_COST = "not counted, for no method"


def training_examples(spec: CellSpec, task: Task) -> Examples:
    """Return the N examples that a cell's runs train on: all of the training split but those held out."""
    examples = task.examples("train")
    return SomeExamples(examples, _parts(spec)[0]) if spec.training.held_out else examples


def choosing_examples(spec: CellSpec, task: Task) -> Examples:
    """Return the examples whose loss chooses a candidate."""
    if not spec.training.held_out:
        return task.examples(SPLIT)
    return SomeExamples(task.examples("train"), _parts(spec)[1])


def _parts(spec: CellSpec) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training split for training and for the choice, ascending: alike for all methods and repetitions."""
    rows = np.random.default_rng(derive_seed(spec.base_seed, "split", dataset=spec.dataset, held_out=True)).permutation(
        spec.dataset_size + spec.training.held_out
    )
    return np.sort(rows[: spec.dataset_size]), np.sort(rows[spec.dataset_size :])


def tune(spec: CellSpec, attempt: Callable[[Mapping[str, float]], float]) -> dict[str, Any]:
    """Try every candidate and return the record of the search; with a single candidate nothing is trained.

    ``attempt`` trains with a candidate and returns the mean loss on `choosing_examples`, NaN or infinite where training
    diverged. The first of equals is taken; if every candidate diverges, the first.
    """
    known = spec.training.candidates[: 1 if spec.trainable == UNTRAINED else None]
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
        "criterion": f"least mean loss on {_told(spec.training)}"
        if len(known) > 1
        else "one setting for all methods, from the configuration",
        "privacy_cost": PRIVACY_COST,
    }


def _told(training: TrainingSpec) -> str:
    where = f"{training.held_out} training examples that are held out" if training.held_out else f"the {SPLIT} split"
    return where if training.trial_steps == training.steps else f"{where}, after {training.trial_steps} steps"
