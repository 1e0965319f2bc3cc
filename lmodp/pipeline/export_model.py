"""A trained run as a folder that transformers loads, with its tokenizer, its label names and a model card.

A classifier is one folder for ``AutoModelForSequenceClassification``, under adapters together with the model below
them. A language model with adapters is an adapter in peft's form, beside which the model below stays where it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file
from torch import Tensor

from lmodp.data.source_settings import placed
from lmodp.data.tokens import load_tokenizer
from lmodp.errors import MissingFile, Unsupported, require
from lmodp.models.architectures import architecture_of
from lmodp.models.cards import MODELS
from lmodp.models.classifier import SequenceClassifier, transformers_model
from lmodp.models.folders import scratch_folder
from lmodp.models.label_words import with_words
from lmodp.models.trainable import lora_config
from lmodp.pipeline.job import runs_of
from lmodp.records.places import cell_path, mechanism_path
from lmodp.records.record import read_record, read_runs, write_json
from lmodp.reporting.model_card import model_card
from lmodp.tasks.classification import ClassificationTask

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.pipeline.layout import Layout
    from lmodp.stages.cell_runs import CellRuns

ADAPTER = "lora_"


def export_model(layout: Layout, cell: Cell, folder: Path, *, repetition: int = 0) -> None:
    """Write the trained model of a repetition to a new or empty folder.

    Raises:
        InvalidValue: the folder holds files, or there is no such repetition.
        MissingFile: the run is not finished, or the cache has not the weights that its record names.
        Unsupported: the run has no model to export, is not what was certified, or no class of transformers
            computes what was trained.
    """
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    require(free, "folder", str(folder), "is there already", "Name a new one.")
    runs = runs_of(layout, cell)
    line = checked_line(cell, runs, repetition)
    path = runs.weights(line["run"])
    if not runs.has_weights(line):
        rule = "are not there, or are not those of the record"
        raise MissingFile(f"weights = {str(path)!r}: {rule}. Run the grid again; finished records are kept.")
    task, certificate = runs.task, read_record(mechanism_path(layout.results, cell.mechanism, "certify_mechanism"))
    model, weights = copy.deepcopy(fitting_model(task.pretrained)), load_file(path)
    if isinstance(task, ClassificationTask):
        weights = {name.removeprefix("model."): value for name, value in weights.items()}
        model.config.id2label = dict(enumerate(task.card.labels))
        model.config.label2id = {name: number for number, name in enumerate(task.card.labels)}
    if cell.spec.head is not None and cell.spec.pooling == "mask":
        model, weights = with_words(task.model_folder, cell.spec.head["words"], weights)
    tokenizer = load_tokenizer(task.model_folder)
    tokenizer.model_max_length = cell.spec.max_length
    base, name = _base(layout, cell)
    with scratch_folder(folder) as scratch:
        _save(model, weights, scratch, cell.spec.trainable, base=base)
        tokenizer.save_pretrained(scratch)
        card = model_card(cell, runs.trained()[0], certificate, name=name)
        (scratch / "README.md").write_text(card, encoding="utf-8")
        write_json(scratch / "certificate.json", certificate)


def _base(layout: Layout, cell: Cell) -> tuple[str, str]:
    """Where the model below adapters is found, a folder or a hub's repository, and what a card calls it."""
    own = layout.config.models.get(cell.spec.model)
    if own is None:
        return str((layout.cache / "models" / cell.model).absolute()), MODELS[cell.spec.model].title
    if own.revision is not None:
        return own.place, own.place
    folder = placed(own.place, layout.config.data_folder()).absolute()
    return str(folder), folder.name


def checked_line(cell: Cell, runs: CellRuns, repetition: int = 0) -> dict[str, Any]:
    """Return the line of a finished repetition that did what was certified; else raise as `export_model`."""
    known = f"must be from 0 to {cell.repetitions - 1}"
    require(0 <= repetition < cell.repetitions, "repetition", repetition, known)
    record, lines = runs.trained()
    line = lines[repetition]
    if line["status"] != "done":
        raise Unsupported(f"run = {line['run']!r}: {line['status']}: {line['reason'] or record['reason']}")
    compared = read_runs(cell_path(runs.root, cell.id, "verify_run"))[1][repetition]
    if not compared["conforms"]:
        raise Unsupported(f"run = {line['run']!r}: {compared['reason']}. No certificate covers it.")
    return line


def fitting_model(model: Any) -> Any:
    """The transformers model of a task, if its own class pools as the task does."""
    if isinstance(model, SequenceClassifier) and model.pooling != "mask":
        native = architecture_of(model.model).native_pooling
        if model.pooling != native:
            raise Unsupported(
                f"pooling = {model.pooling!r}: no class of transformers pools so for this model; its own, "
                f"{type(model.model).__name__}, pools by {native!r} and would answer otherwise. Train with pooling: "
                f"{native}, which is the default."
            )
    return transformers_model(model)


def _save(model: Any, weights: Mapping[str, Tensor], folder: Path, part: Any, *, base: str) -> None:
    """Write a model with the trained weights, adapters in peft's form."""
    adapters = {name for name in weights if ADAPTER in name}
    _fill(model, {name: value for name, value in weights.items() if name not in adapters})
    if not adapters or len(adapters) < len(weights):
        model.save_pretrained(folder)
    if adapters:
        from peft import get_peft_model  # slow to import, and few models need it

        wrapped = get_peft_model(model, lora_config(model, part["lora"] if isinstance(part, Mapping) else None))
        _fill(wrapped.base_model.model, {name: weights[name] for name in adapters})
        wrapped.peft_config["default"].base_model_name_or_path = base
        wrapped.save_pretrained(folder, save_embedding_layers=False)


def _fill(model: Any, weights: Mapping[str, Tensor]) -> None:
    for name, value in weights.items():
        parameter = model.get_parameter(name)
        parameter.data = value.to(parameter.device)
