"""Rules of a configuration that join several keys: names that must be known, values that exclude each other."""

from __future__ import annotations

from collections.abc import Collection

from lmodp.data.cards import DATASETS
from lmodp.errors import Fault, nearest
from lmodp.grid.sections import Config
from lmodp.methods.discovery import load_methods
from lmodp.models.cards import MODELS


def contradictions(config: Config) -> list[Fault]:
    """Return all broken rules of a configuration whose single values are sound."""
    return [
        *_unknown_names(config),
        *_impossible_batches(config),
        *_impossible_rates(config),
        *_impossible_tasks(config),
    ]


def _unknown_names(config: Config) -> list[Fault]:
    methods = load_methods(config.methods_folder)
    named: list[tuple[str, str, str, Collection[str]]] = []  # place, kind, name, known names
    named += [("methods", "method", name, methods) for name in config.methods]
    named += [(f"compare.{part}", "method", name, methods) for part, name in config.compare]
    for key, item in config.experiments.items():
        named += [(f"experiments.{key}.methods", "method", name, methods) for name in item.methods or []]
        named += [(f"experiments.{key}.learning_rates", "method", name, methods) for name in item.learning_rates]
        named += [(f"experiments.{key}.dataset", "data set", item.dataset, DATASETS)]
        named += [(f"experiments.{key}.model", "model", item.model, MODELS)]
    named += [(f"local_files.{name}", "data set", name, DATASETS) for name in config.local_files]
    named += [(f"local_models.{name}", "model", name, MODELS) for name in config.local_models]
    named += [
        (f"hub_revisions.{name}", "data set or model", name, {**DATASETS, **MODELS}) for name in config.hub_revisions
    ]
    return [
        Fault(place, name, f"unknown {kind}", nearest(name, known))
        for place, kind, name, known in named
        if name not in known
    ]


def _impossible_batches(config: Config) -> list[Fault]:
    faults = []
    for key, item in config.experiments.items():
        batch, card = item.training.expected_batch_size, DATASETS.get(item.dataset)
        if card and batch > card.train_size:
            rule = f"is a sampling rate of {batch / card.train_size:.4g}, which must be at most 1"
            remedy = f"{item.dataset} has {card.train_size} training examples."
            faults.append(Fault(f"experiments.{key}.training.expected_batch_size", batch, rule, remedy))
    return faults


def _impossible_rates(config: Config) -> list[Fault]:
    """A rate of its own needs a method of the experiment, and excludes tuning."""
    faults = []
    for key, item in config.experiments.items():
        place, methods = f"experiments.{key}.learning_rates", config.methods if item.methods is None else item.methods
        faults += [
            Fault(place, name, "is no method of this experiment", "Leave it out.")
            for name in item.learning_rates
            if name not in methods
        ]
        if item.learning_rates and item.training.tuning is not None:
            faults.append(
                Fault(place, "...", "beside training.tuning, which chooses every method's rate", "Leave one out.")
            )
    return faults


def _impossible_tasks(config: Config) -> list[Fault]:
    """Only language models generate sentences, and only some models can be cut."""
    faults = []
    for key, item in config.experiments.items():
        data, model = DATASETS.get(item.dataset), MODELS.get(item.model)
        if data is None or model is None:
            continue
        if data.task == "table_to_text" and not model.generates:
            faults.append(
                Fault(
                    f"experiments.{key}.model",
                    item.model,
                    f"cannot generate, as {item.dataset} asks",
                    "Use a GPT-2 or a Llama.",
                )
            )
        if data.task != "table_to_text" and item.generation is not None:
            faults.append(
                Fault(
                    f"experiments.{key}.generation",
                    "...",
                    f"is for table-to-text, {item.dataset} is not",
                    "Leave it out.",
                )
            )
        if item.layers is not None and not model.depth:
            faults.append(
                Fault(f"experiments.{key}.layers", item.layers, f"model {item.model} is used whole", "Leave it out.")
            )
    return faults
