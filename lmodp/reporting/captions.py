"""What a reader must know beside a number: split, examples, seeds, adjacency, sampler, metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmodp.reporting.formats import count, trainable_words

PRIVACY_UNIT = "add-or-remove-one-example adjacency, Poisson sampling"
METRIC = "accuracy after the last step"


def experiment_caption(results: Mapping[str, Any], experiment: str) -> str:
    """Return two sentences on data, model, training and metric of an experiment."""
    facts = results["experiments"][experiment]
    batch, size = facts["expected_batch_size"], facts["train_size"]
    runs = facts["repetitions"]
    return (
        f"{facts['dataset']}, {count(size)} training examples; {facts['model']}, training {trainable_words(facts['trainable'])} "
        f"for {facts['steps']} steps of {count(batch)} expected examples (rate {batch / size:.4g}), clip norm {facts['clip_norm']:g}, "
        f"{facts['optimizer']} at {facts['learning_rate']:g}. "
        f"Score: {METRIC} on the {facts['evaluation_split']} split ({count(facts['evaluation_size'])} examples), "
        f"mean ± standard deviation over {runs} seed{'s' if runs != 1 else ''}; {PRIVACY_UNIT}."
    )
