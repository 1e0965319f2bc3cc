"""The stage finetune_model: all repetitions of one cell, each with a record of its own.

Starting a process costs seconds and a run on cached activations a fraction of
one, so one job trains all repetitions. A run whose record was made by the same
code from the same inputs, and whose weights are there, is kept; so an
interrupted cell goes on where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from lmodp.data.cards import DATASETS
from lmodp.engines.foreign import load_engine, train_foreign
from lmodp.errors import LmodpError, Unsupported
from lmodp.mechanisms import noise_from_dict
from lmodp.models.prepare_model import weights_hash
from lmodp.plan import Plan
from lmodp.records.record import input_hashes, is_current, make_record, read_record, sha256_file, write_json
from lmodp.records.reuse import name_in, stage_code
from lmodp.seeds import run_seeds
from lmodp.stages.tuning import REPETITION, SPLIT, tune, tuned
from lmodp.tasks.classification import ClassificationTask
from lmodp.tasks.table_to_text import TableToTextTask
from lmodp.training import Examples, TrainingSettings, train
from lmodp.training.examples import arranged
from lmodp.training.losses import Loss
from lmodp.training.memory import set_up_training
from lmodp.training.run_log import mean_clipped_share
from lmodp.vocabulary import OWN_ENGINE

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.pipeline.layout import Layout

Task = ClassificationTask | TableToTextTask
TASKS: dict[str, type[Task]] = {"classification": ClassificationTask, "table_to_text": TableToTextTask}
PACKAGES = ("numpy", "torch", "transformers")


def finetune_model(cell: Cell, *, layout: Layout, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Train every repetition and return the content of the cell's ``finetune.json``.

    Args:
        cell: what to train.
        layout: where files lie.
        inputs: records the runs are made from; ``certificate`` among them.

    Returns:
        ``plan`` and one entry a run: id, status, reason, hash of its record. The
        cell's status is ``done`` also where single runs diverged; it is that of the
        certificate where there is nothing to train.
    """
    certificate = read_record(inputs["certificate"])
    if certificate["status"] != "done":
        return _nothing_ran(cell, certificate["status"], certificate["reason"])
    set_up_training(cell.spec["threads"])
    try:
        trainer = _Trainer(cell, certificate["noise"], layout, inputs)
        trainer.tune()
    except Unsupported as error:
        return _nothing_ran(cell, "skipped", str(error))
    except LmodpError as error:
        return _nothing_ran(cell, "failed", str(error))
    runs = [trainer.run(number) for number in tqdm(range(cell.repetitions), desc=cell.id, unit="run")]
    return {"plan": trainer.plan.to_dict(), "tuning": trainer.tuning, "runs": runs}


def _nothing_ran(cell: Cell, status: str, reason: str) -> dict[str, Any]:
    why = {"status": status, "reason": reason}
    return {"plan": None, "runs": [{"run": run, **why} for run in cell.runs], **why}


def plan_of(spec: Mapping[str, Any], noise: Mapping[str, Any] | None) -> Plan:
    """Return the plan of a cell's runs."""
    training, clipping = spec["training"], spec["clipping"]
    return Plan.for_batches(
        expected_batch_size=training["expected_batch_size"],
        dataset_size=spec["dataset_size"],
        steps=training["steps"],
        delta=spec["delta"],
        noise=noise_from_dict(noise) if noise else None,
        clipping=clipping,
        clip_norm=math.inf if clipping == "none" else training["clip_norm"],
    )


def task_of(cell: Cell, layout: Layout) -> Task:
    """Return the task of a cell, over its prepared files."""
    activations = layout.cache / "activations" / cell.activations if cell.activations else None
    kind = TASKS[DATASETS[cell.spec["dataset"]].task]
    return kind(
        cell.spec,
        model_folder=layout.cache / "models" / cell.model,
        tokens_folder=layout.cache / "tokens" / cell.tokens,
        activations_folder=activations,
    )


def settings_of(spec: Mapping[str, Any]) -> TrainingSettings:
    """Return the optimiser's settings of a cell."""
    names = ("optimizer", "learning_rate", "weight_decay", "schedule", "micro_batch_size", "precision",
             "checkpoint_every", "evaluate_every")  # fmt: skip
    return TrainingSettings(**{name: spec["training"][name] for name in names})


class _Trainer:
    """Trains single runs of a cell; what they share is loaded once."""

    def __init__(self, cell: Cell, noise: Mapping[str, Any] | None, layout: Layout, inputs: Mapping[str, Path]):
        self.cell, self.noise, self.layout = cell, noise, layout
        self.hashes = {name_in(layout.results, inputs[name]): value for name, value in input_hashes(inputs).items()}
        self.code = stage_code("finetune_model", layout.method_file("finetune_model", cell.spec))
        self.packages, self.train = PACKAGES, train
        if cell.spec["engine"] != OWN_ENGINE:
            engine = load_engine(layout.grid.methods[cell.spec["method"]])
            self.packages, self.train = (*PACKAGES, *engine.packages), partial(train_foreign, engine)
        self.task = task_of(cell, layout)
        self.folder = layout.cache / "cells" / cell.id
        self._examples = None

    def tune(self) -> None:
        """Choose learning rate and clip norm for all repetitions."""
        self.tuning = tune(self.cell.spec, self._attempt)
        self.spec = tuned(self.cell.spec, self.tuning["chosen"])
        self.plan = plan_of(self.spec, self.noise)

    def _attempt(self, candidate: Mapping[str, float]) -> float:
        """Train with a candidate and return the mean loss on the validation split."""
        spec = tuned(self.cell.spec, candidate)
        seeds = run_seeds(
            spec["base_seed"],
            dataset=spec["dataset"],
            model=spec["model"],
            repetition=REPETITION,
            method=spec["method"],
        )
        _, running, _ = self.task.model(seeds["head_init"])
        self.train(
            running,
            plan=plan_of(spec, self.noise),
            examples=self.examples,
            loss=self.task.loss,
            settings=settings_of(spec),
            seeds=seeds,
            checkpoint_path=None,
            evaluate=None,
        )
        return mean_loss(running, self.task.examples(SPLIT), self.task.loss, spec["training"]["micro_batch_size"])

    @property
    def examples(self) -> Examples:
        """The training examples, loaded once."""
        if self._examples is None:
            self._examples = self.task.examples("train")
        return self._examples

    def run(self, number: int) -> dict[str, Any]:
        """Train one repetition unless it is there; return its entry in the cell's record."""
        run_id = self.cell.runs[number]
        record, weights = self.layout.results / "runs" / run_id / "training.json", self.folder / f"{run_id}.safetensors"
        spec = {**self.cell.spec, "repetition": number}
        if not self._there(record, weights, spec):
            self._train(spec, number, run_id, record, weights)
        made = read_record(record)
        return {
            "run": run_id,
            "status": made["status"],
            "reason": made["reason"],
            "record_sha256": sha256_file(record),
            "clipped_share": mean_clipped_share(made),
        }

    def _there(self, record: Path, weights: Path, spec: Mapping[str, Any]) -> bool:
        code = None if self.layout.config.keep_records else self.code
        if not is_current(record, code=code, inputs=dict(sorted(self.hashes.items())), content={"spec": spec}):
            return False
        made = read_record(record)
        if made["status"] != "done":
            return True
        return weights.is_file() and weights_hash(load_file(weights)) == made["weights_sha256"]

    def _train(self, spec: Mapping[str, Any], number: int, run_id: str, record: Path, weights: Path) -> None:
        seeds = run_seeds(
            spec["base_seed"], dataset=spec["dataset"], model=spec["model"], repetition=number, method=spec["method"]
        )
        try:
            model, running, summary = self.task.model(seeds["head_init"])
            result = self.train(
                running,
                plan=self.plan,
                examples=self.examples,
                loss=self.task.loss,
                settings=settings_of(self.spec),
                seeds=seeds,
                checkpoint_path=self._checkpoint(run_id),
                evaluate=self._evaluate(),
            )
        except Unsupported as error:
            self._write(record, {"spec": spec}, status="skipped", reason=str(error))
            return
        except LmodpError as error:
            self._write(record, {"spec": spec}, status="failed", reason=str(error))
            return
        content = {
            "spec": spec,
            "seeds": seeds,
            "plan": self.plan.to_dict(),
            "tuning": self.tuning,
            "trained": summary,
            **result.record,
        }
        trained = {
            name: value.detach().cpu().contiguous() for name, value in model.named_parameters() if value.requires_grad
        }
        if not all(bool(torch.isfinite(value).all()) for value in trained.values()):
            self._write(record, content, status="diverged", reason="a trained weight is not finite after the last step")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file(trained, weights)
        write_json(record.parent / "timing.json", result.timing)
        self._write(record, {**content, "weights_sha256": weights_hash(trained)})

    def _checkpoint(self, run_id: str) -> Path | None:
        every = self.cell.spec["training"]["checkpoint_every"]
        return self.folder / f"{run_id}.checkpoint" if every else None

    def _evaluate(self) -> Any:
        """Scores along the way, where asked for; the final score is evaluate_model's."""
        if self.cell.spec["training"]["evaluate_every"] is None:
            return None
        return lambda model: {name: value for name, value in self.task.score(model).items() if isinstance(value, float)}

    def _write(
        self, record: Path, content: Mapping[str, Any], *, status: str = "done", reason: str | None = None
    ) -> None:
        made = make_record(
            "finetune_model",
            content,
            code=self.code,
            packages=self.packages,
            inputs=self.hashes,
            status=status,
            reason=reason,
        )
        write_json(record, made)


def mean_loss(model: nn.Module, examples: Examples, loss: Loss, batch_size: int) -> float:
    """Return the mean loss of a model over examples, in evaluation mode."""
    model.eval()
    total = 0.0
    with torch.no_grad():
        order = arranged(examples, np.arange(len(examples)))
        for start in range(0, len(order), batch_size):
            batch = examples.batch(order[start : start + batch_size])
            total += float(loss(model, batch).double().sum())
    return total / len(examples)


def load_trained(task: Task, seed: int, weights: Path) -> nn.Module:
    """Return the model of a run with its trained weights, as it was at the last step."""
    model, running, _ = task.model(seed)
    values = load_file(weights)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(values[name])
    return running
