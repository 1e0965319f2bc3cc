"""Count the numbers that a step releases: the trained parameters of a prepared model, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from lmodp.data.cards import DatasetCard
from lmodp.models.label_words import unloaded_prompted
from lmodp.models.trainable import set_trainable


def trained_parameters(
    model_folder: Path, *, card: DatasetCard, part: str | Mapping[str, Any], prompted: bool = False
) -> int:
    """Return the number of trained parameters of a prepared model.

    The data set's card says whether it is a classifier, and of how many classes; ``prompted``: these are label words.
    """
    config = AutoConfig.from_pretrained(model_folder, local_files_only=True)
    with torch.device("meta"):
        if prompted:
            model = unloaded_prompted(config, len(card.labels))
        elif card.task == "classification":
            config.num_labels = len(card.labels)
            model = AutoModelForSequenceClassification.from_config(config)
        else:
            model = AutoModelForCausalLM.from_config(config)
        return set_trainable(model, part, seed=0)["trainable"]
