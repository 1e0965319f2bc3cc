"""Fine-tuning from Python: one cell of a grid by the workflow's own jobs, without Snakemake.

What is made lies in one folder: inputs that were objects, records, weights. The jobs are those of a grid, so data are
counted, noise is calibrated and certified, the run is compared with its certificate, and what is finished is kept.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lmodp.data.tokenize_dataset import position_limit, require_positions
from lmodp.data.tokens import load_tokenizer
from lmodp.errors import ConfigError, MissingFile, Unsupported, require
from lmodp.estimate.check_model import require_trainable
from lmodp.estimate.true_size import true_config
from lmodp.grid.cells import Cell, Grid
from lmodp.grid.config import check_config
from lmodp.grid.sections import Config
from lmodp.models.cards import MODELS
from lmodp.models.folders import write_model
from lmodp.pipeline import jobs
from lmodp.pipeline.bundles import Bundles, Task
from lmodp.pipeline.export_model import checked_line, export_model
from lmodp.pipeline.job import Job, runs_of
from lmodp.pipeline.layout import Layout
from lmodp.records.places import cell_path, mechanism_path
from lmodp.records.record import read_record, read_runs
from lmodp.stages.cell_runs import CellRuns

DATA, MODEL, RUN = "data", "model", "finetune"  # their names in the configuration
TRAINING = {  # the configuration's key for each argument that is passed on
    "expected_batch_size": "expected_batch_size",
    "clip_norm": "clip_norm",
    "optim": "optimizer",
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "lr_scheduler_type": "schedule",
    "per_device_train_batch_size": "micro_batch_size",
    "save_steps": "checkpoint_every",
}
ARGUMENTS = {key: name for name, key in TRAINING.items()} | {"methods": "method", "steps": "max_steps", "from": "model"}
LORA = {"rank": "r", "alpha": "lora_alpha", "targets": "target_modules"}  # our names for peft's
LORA_FACTS = ("task_type", "fan_in_fan_out", "inference_mode", "base_model_name_or_path", "revision", "peft_version")


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned model with its statement of privacy; see `finetune`."""

    layout: Layout
    cell: Cell

    @cached_property
    def _runs(self) -> CellRuns:
        return runs_of(self.layout, self.cell)

    @cached_property
    def model(self) -> Any:
        """The model as ``from_pretrained`` loads it from what `save` writes, in evaluation mode."""
        from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

        folder = self.layout.results.parent / "model"
        if not folder.exists():
            self.save(folder)
        classifies = self.cell.spec.card.task == "classification"
        kind = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
        return kind.from_pretrained(folder, local_files_only=True).eval()

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        tokenizer = load_tokenizer(self._runs.task.model_folder)
        tokenizer.model_max_length = self.cell.spec.max_length
        return tokenizer

    @property
    def certificate(self) -> dict[str, Any] | None:
        """Every answer to "what is epsilon?", as `lmodp.certify` gives it; None for a method without privacy."""
        return read_record(mechanism_path(self.layout.results, self.cell.mechanism, "certify_mechanism"))["certificate"]

    @property
    def record(self) -> dict[str, Any]:
        """What the run did, and the comparison with its certificate; public fields alone under "entropy"."""
        record, (line,) = read_runs(cell_path(self.layout.results, self.cell.id, "finetune_model"))
        _, (compared,) = read_runs(cell_path(self.layout.results, self.cell.id, "verify_run"))
        return {**record, "runs": [line], "verification": compared}

    @property
    def scores(self) -> dict[str, Any]:
        """Scores on the held-out part. They depend on the data, and no certificate covers them: do not publish."""
        if self._runs.scores.is_file():
            return json.loads(self._runs.scores.read_text(encoding="utf-8"))["runs"][0]
        return read_runs(cell_path(self.layout.results, self.cell.id, "evaluate_model"))[1][0]

    def save(self, folder: Path | str) -> None:
        """Write model, tokenizer, label names, certificate and a model card to a new folder, see `export_model`."""
        export_model(self.layout, self.cell, Path(folder))


def finetune(
    model: Any,
    data: Any,
    *,
    epsilon: float,
    delta: float,
    method: str = "gaussian",
    tokenizer: Any = None,
    revision: str | None = None,
    eval_dataset: Any = None,
    test_size: float = 0.1,
    text: str | list[str] | None = "text",
    label: str | None = "label",
    source: str | None = None,
    target: str | None = None,
    head: Mapping[str, Any] | None = None,
    trainable: str | Mapping[str, Any] = "full",
    peft_config: Any = None,
    max_length: int | None = None,
    generation: Mapping[str, Any] | None = None,
    expected_batch_size: float | None = None,
    num_train_epochs: float = 3,
    max_steps: int = -1,
    clip_norm: float = 1.0,
    learning_rate: float = 5e-4,
    weight_decay: float = 0.0,
    lr_scheduler_type: str = "constant",
    optim: str = "adam",
    per_device_train_batch_size: int = 32,
    bf16: bool = False,
    save_steps: int | None = None,
    randomness: str = "entropy",
    seed: int = 0,
    output_dir: Path | str = "finetuned",
    cache_dir: Path | str | None = None,
) -> FineTuned:
    """Fine-tune a model privately, by the engine, the certificate and the checks of the workflow.

    The same call goes on where an interrupted one stopped, and returns what is finished without spending epsilon
    again. Progress is shown in steps; a loss is not shown, since it depends on the data and no certificate covers it.

    Args:
        model: folder of a transformers model, id of a hub's repository (with ``revision``), a packaged model such as
            "minilm_roberta", or a model object (with ``tokenizer``). A classifier's head is new.
        data: file, `datasets.Dataset`, data frame, or one of these for each of "train", "validation" and "test".
            The privacy unit is a row of "train".
        epsilon, delta: what the whole run may spend, verified.
        method: one of ``lmodp methods``.
        tokenizer: of a model object.
        revision: commit of a hub's repository.
        eval_dataset: held-out examples; without them the share ``test_size`` of the data is held out.
        text, label: columns of a classification set; ``text`` may name two.
        source, target: columns of a table-to-text set; they replace ``text`` and ``label``.
        head: label words in place of a new head: {"prompt": "{text} It was", "words": [" bad", " good"]}.
        trainable: "full", "head", "bitfit", {"last_layers": k} or {"lora": {"rank": r, "alpha": a, "targets": [...]}}.
        peft_config: a `peft.LoraConfig` in place of ``trainable``.
        max_length: tokens of an example; longer ones are cut. The default is 128, at most the model's positions.
        generation: how sentences are made for the scores of a table-to-text set, see the configuration's key.
        expected_batch_size: B; each step draws every example with probability B / N. The default is 256, at most N / 4.
        num_train_epochs, max_steps: steps are epochs times N / B, unless ``max_steps`` is positive.
        clip_norm: bound on the length of one example's gradient.
        learning_rate, weight_decay, lr_scheduler_type, optim: "constant" or "linear"; "adam", "adamw" or "sgd".
        per_device_train_batch_size: examples in one forward pass: memory, not privacy.
        bf16: forward and backward passes in 16 bits.
        save_steps: steps between checkpoints, which an interrupted run goes on from.
        randomness: "entropy" for a release; "seeded" for a benchmark, which protects nobody.
        seed: of first weights, of what is held out, and of everything under "seeded".
        output_dir: folder for all that is made. It holds the data, too.
        cache_dir: folder for fetched packages and bulky files; inside ``output_dir`` unless given.

    Raises:
        LmodpError: what cannot be trained or certified is refused, with the reason, as the workflow does.

    >>> import lmodp
    >>> lmodp.finetune("minilm_roberta", "reviews.csv", epsilon=-1, delta=1e-6)
    Traceback (most recent call last):
    lmodp.errors.ConfigError: finetune: 1 fault
      epsilon = -1: input should be greater than 0. Give a positive target such as 0.3.
    """
    given, home = dict(locals()), Path(output_dir)
    require(home.is_dir() or not home.exists(), "output_dir", str(home), "is a file", "Name a folder.")
    columns = {"source": source, "target": target} if source or target else {"text": text, "label": label}
    training = {key: given[name] for name, key in TRAINING.items()}
    training |= {"expected_batch_size": 1.0} if expected_batch_size is None else {}  # until N is known
    training |= {"steps": max_steps if max_steps > 0 else 1, "precision": "bfloat16" if bf16 else "float32"}
    section = {**_data(data, eval_dataset, columns, home), "seed": seed}
    if "test" not in section["files"]:
        section["split_off"] = {"test": test_size}
    values = {
        "grid": "records",
        "results_root": str(home),
        "cache_root": str(cache_dir or home / "cache"),
        "methods": [method],
        "privacy": {"epsilon": [epsilon], "delta": [delta], "calibrations": ["verified"], "published_points": []},
        "randomness": randomness,
        "base_seed": seed,
        "threads": torch.get_num_threads(),
        "datasets": {DATA: section},
        "models": _models(model, tokenizer, revision, home),
        "experiments": {
            RUN: {
                "title": RUN,
                "dataset": DATA,
                "model": model if isinstance(model, str) and model in MODELS else MODEL,
                "head": None if head is None else dict(head),
                "trainable": trainable if peft_config is None else {"lora": _lora(peft_config)},
                "max_length": 128 if max_length is None else max_length,
                "generation": generation,
                "training": {**training, "optimizer": optim.removesuffix("_fused").removesuffix("_torch")},
            }
        },
    }
    epochs = None if max_steps > 0 else num_train_epochs
    return _run(_sized(_checked(values), expected_batch_size, epochs, max_length))


def _data(data: Any, eval_dataset: Any, columns: dict[str, Any], home: Path) -> dict[str, Any]:
    """The configuration's section of the data; what is no file is written to one."""
    parts = dict(data) if isinstance(data, Mapping) else {"train": data}
    parts |= {} if eval_dataset is None else {"test": eval_dataset}
    task = "classification" if "label" in columns else "table_to_text"
    files = {part: _file(value, columns, home / "inputs" / f"{part}.parquet") for part, value in parts.items()}
    return {"task": task, "files": files, **{name: value for name, value in columns.items() if value is not None}}


def _file(value: Any, columns: Mapping[str, Any], path: Path) -> str:
    """The file of a part; a data set or a data frame is written to one, with the columns that are used."""
    if isinstance(value, str | Path):
        return str(Path(value).expanduser().absolute())
    frame = value.to_pandas() if hasattr(value, "to_pandas") else value
    remedy = "Give a file, a datasets.Dataset or a data frame, N being known."
    require(hasattr(frame, "to_parquet"), "data", type(value).__name__, "is no table", remedy)
    names = [name for item in columns.values() if item for name in ([item] if isinstance(item, str) else item)]
    known = ", ".join(map(str, frame.columns))
    for name in names:
        require(name in frame.columns, "column", name, f"is not in the data, which has {known}", "Name another one.")
    frame, feature = frame[names].copy(), getattr(value, "features", {}).get(columns.get("label"))
    if feature is not None and hasattr(feature, "int2str"):  # numbers that stand for names
        labels = frame[columns["label"]]
        frame[columns["label"]] = [feature.int2str(item) if item >= 0 else str(item) for item in labels]
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)
    return str(path.absolute())


def _models(model: Any, tokenizer: Any, revision: str | None, home: Path) -> dict[str, Any]:
    """The configuration's section of the model; an object is written to a folder."""
    if isinstance(model, str) and model in MODELS:
        return {}
    if isinstance(model, str | Path):
        place = str(model) if revision else str(Path(model).expanduser().absolute())
        return {MODEL: {"from": place, "revision": revision}}
    kind = type(model).__name__
    require(hasattr(model, "save_pretrained"), "model", kind, "is no model of transformers", "Give its folder.")
    wrapped = "peft" in type(model).__module__ or getattr(model, "_hf_peft_config_loaded", False)
    require(not wrapped, "model", kind, "has adapters already", "Give the model below them, and peft_config.")
    require(tokenizer is not None, "tokenizer", None, "is needed with a model object", "Give its tokenizer.")
    folder = home / "inputs" / (Path(getattr(model, "name_or_path", "")).name or MODEL)
    write_model(model, tokenizer, folder)
    return {MODEL: {"from": str(folder.absolute())}}


def _lora(config: Any) -> dict[str, Any]:
    """The configuration's adapters for a peft.LoraConfig; what the suite does not do is refused."""
    from peft import LoraConfig

    require(isinstance(config, LoraConfig), "peft_config", type(config).__name__, "must be a LoraConfig")
    given, default = config.to_dict(), LoraConfig().to_dict()
    for name, value in given.items():
        known = name in LORA_FACTS or name in LORA.values() or value == default.get(name)
        require(known, f"peft_config.{name}", value, "is not supported", f"Leave it at {default.get(name)!r}.")
    targets = given["target_modules"]
    require(not isinstance(targets, str), "peft_config.target_modules", targets, "must be a list of names")
    return {"rank": config.r, "alpha": float(config.lora_alpha), "targets": sorted(targets) if targets else None}


def _checked(values: dict[str, Any]) -> Config:
    """The checked configuration; faults have the names of the arguments."""
    try:
        return check_config(values, source=RUN)
    except ConfigError as error:
        raise ConfigError(RUN, [replace(fault, name=_argument(fault.name)) for fault in error.faults]) from None


def _sized(config: Config, batch: float | None, epochs: float | None, max_length: int | None) -> Config:
    """The configuration with what follows from N, which the data say, and from the model's positions."""
    size, run = config.cards[DATA].train_size, config.experiments[RUN]
    batch = min(256.0, size / 4) if batch is None else batch
    changes: dict[str, Any] = {"expected_batch_size": batch}
    if epochs is not None:
        require(0 < epochs < math.inf, "num_train_epochs", epochs, "must be finite and above 0", "Or give max_steps.")
        changes["steps"] = math.ceil(epochs * size / batch)
    made: dict[str, Any] = {"training": run.training.model_copy(update=changes)}
    model = true_config(config.model_cards[run.model])
    if max_length is None:
        made["max_length"] = min(run.max_length, position_limit(model))
    else:
        require_positions(model, max_length)
    return config.model_copy(update={"experiments": {RUN: run.model_copy(update=made)}})


def _argument(name: str) -> str:
    """The argument that a key of the configuration comes from."""
    last = "test_size" if "split_off" in name else re.sub(r" #\d+", "", name).rpartition(".")[2]
    return ARGUMENTS.get(last, last)


def _run(config: Config) -> FineTuned:
    """Make all that the one cell needs, then the cell."""
    layout = Layout(config, Grid(config))
    (cell,) = layout.grid.cells.values()
    if cell.skip is not None:
        raise Unsupported(f"method = {cell.spec.method!r}: {cell.skip}")
    card, model = cell.spec.card, config.model_cards[cell.spec.model]
    require_trainable(model, len(card.labels) or None, cell.spec.trainable, cell.spec.pooling)
    others = [path.name for path in (layout.results / "cells").glob("*") if path.name != cell.id]
    rule = "holds a model of other data or arguments, and a second one would spend epsilon again"
    trained = any(_was_trained(layout, other) for other in others)
    require(not trained, "output_dir", str(layout.results.parent), rule, "Name another folder.")
    _make(Bundles(layout), Task("finetune_model", cell.id), set())
    checked_line(cell, runs_of(layout, cell))
    return FineTuned(layout, cell)


def _was_trained(layout: Layout, cell: str) -> bool:
    """Whether a run of a cell is done, or has begun and left its checkpoint; one that was refused has done neither."""
    folder = layout.cache / "cells" / cell
    if any(folder.glob("*.checkpoint")) or any(folder.glob("*.safetensors")):
        return True
    try:
        _, lines = read_runs(cell_path(layout.results, cell, "finetune_model"))
    except MissingFile:
        return False
    return any(line["status"] == "done" for line in lines)


def _make(bundles: Bundles, task: Task, made: set[Task]) -> None:
    """Do a task after those that it needs."""
    for needed in bundles.needed(task):
        if needed not in made:
            _make(bundles, needed, made)
    getattr(jobs, task.job)(Job.of_stage(bundles.layout, task.job, task.thing))
    made.add(task)
