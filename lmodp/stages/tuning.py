"""The search for learning rate and clip norm: the same budget for every method, stated in the record.

Every pair of the configuration's lists is trained once, under the plan and with the noise of the cell but with seeds of
its own, and the best pair on examples that no run trains on is used for all repetitions: training examples that are
held out, the same for all methods, or else the validation split. The best has the least error rate (the task's own
score: under clipping, the loss of a classifier grows with its margins while its error rate still falls), or for
generated text the least loss. What the search itself costs in privacy is not counted, for no method, and the record
says so.
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
_CALLED = {"error": "error rate", "loss": "mean loss"}
PRIVACY_COST = "not counted, for no method"


def training_examples(spec: CellSpec, task: Task) -> Examples:
    """Return the N examples that a cell's runs train on: all of the training split but those held out."""
    examples = task.examples("train")
    return SomeExamples(examples, _parts(spec)[0]) if spec.training.held_out else examples


def choosing_examples(spec: CellSpec, task: Task) -> Examples:
    """Return the examples on which a candidate is chosen."""
    if not spec.training.held_out:
        return task.examples(SPLIT)
    return SomeExamples(task.examples("train"), _parts(spec)[1])


def _parts(spec: CellSpec) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training split for training and for the choice, ascending: alike for all methods and repetitions."""
    rows = np.random.default_rng(derive_seed(spec.base_seed, "split", dataset=spec.dataset, held_out=True)).permutation(
        spec.dataset_size + spec.training.held_out
    )
    return np.sort(rows[: spec.dataset_size]), np.sort(rows[spec.dataset_size :])


def tune(spec: CellSpec, attempt: Callable[[Mapping[str, float]], Mapping[str, float]]) -> dict[str, Any]:
    """Try every candidate and return the record of the search; with a single candidate nothing is trained.

    ``attempt`` trains with a candidate and returns its faults on `choosing_examples`, the leading one first; some are
    NaN or infinite where training diverged. The first of equals is taken; if every candidate diverges, the first.
    """
    known = spec.training.candidates[: 1 if spec.trainable == UNTRAINED else None]
    found = [attempt(candidate) for candidate in known] if len(known) > 1 else []
    ranked = [tuple(each.values()) if all(map(math.isfinite, each.values())) else (math.inf,) for each in found]
    trials = [
        {**candidate, **{f"validation_{name}": fault if math.isfinite(fault) else None for name, fault in each.items()}}
        for candidate, each in zip(known, found, strict=False)
    ]
    return {
        "budget": len(known),
        "trials": trials,
        "chosen": known[ranked.index(min(ranked))] if found else known[0],
        "criterion": f"least {_CALLED[next(iter(found[0]))]} on {_told(spec.training)}"
        if found
        else "one setting for all methods, from the configuration",
        "privacy_cost": PRIVACY_COST,
    }


def _told(training: TrainingSpec) -> str:
    where = f"{training.held_out} training examples that are held out" if training.held_out else f"the {SPLIT} split"
    return where if training.trial_steps == training.steps else f"{where}, after {training.trial_steps} steps"
