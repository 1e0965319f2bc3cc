"""The stage finetune_model: all repetitions of one cell, one line of ``training.jsonl`` each.

Starting a process costs seconds and a run on cached activations a fraction of one, so one job trains all
repetitions. A run that was made by the same code from the same inputs, and whose weights are there, is kept;
so an interrupted cell goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from lmodp.engines.foreign import load_engine, train_foreign
from lmodp.errors import (
    FOREIGN_ERRORS,
    DamagedFile,
    InvalidValue,
    LmodpError,
    MissingFile,
    Unsupported,
    describe_error,
    require,
)
from lmodp.mechanisms import released
from lmodp.models.prepare_model import weights_hash
from lmodp.records.record import failed, read_sealed, write_sealed
from lmodp.seeds import run_seeds
from lmodp.specs import CellSpec
from lmodp.stages.cell_runs import CellRuns, Task
from lmodp.stages.tuning import REPETITION, choosing_examples, training_examples, tune
from lmodp.training import Examples, TrainingResult, TrainingSettings, train
from lmodp.training.checkpoint import delete_checkpoint
from lmodp.training.memory import forget_peak_memory, set_up_training
from lmodp.training.ranks import ranks
from lmodp.training.run_log import RunLog, mean_clipped_share
from lmodp.training.settings import AfterNoise
from lmodp.vocabulary import OWN_ENGINE, UNTRAINED

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.methods.contract import Method

PACKAGES = ("numpy", "torch", "transformers")


def finetune_model(cell: Cell, runs: CellRuns, certificate: Mapping[str, Any], *, method: Method) -> dict[str, Any]:
    """Train every repetition and return the content of the cell's ``training.jsonl``.

    The cell's status is ``done`` also where single runs diverged; it is that of the certificate where there is nothing
    to train. The method may bring an engine or an optimiser.
    """
    if certificate["status"] != "done":
        return _nothing_ran(cell, status=certificate["status"], reason=certificate["reason"])
    set_up_training(cell.spec.threads)
    try:
        trainer = _Trainer(runs, released(certificate), method)
        trainer.tune()
    except Unsupported as error:
        return _nothing_ran(cell, status="skipped", reason=str(error))
    except LmodpError as error:
        return _nothing_ran(cell, **failed(error))
    lines = [trainer.line(number) for number in tqdm(range(cell.repetitions), desc=cell.id, unit="run")]
    summaries = [summary for line in lines if (summary := line.pop("trained", None))]
    trained = summaries[0] if summaries else runs.known_summary()
    again = {"retry": True} if any(line.get("retry") for line in lines) else {}
    plan = trainer.spec.plan(**trainer.released)
    told = {
        "per_step": plan.releases_per_step,
        "dimension": plan.releases.step.dimension or (trained and trained["trainable"]),
        "noise_schedule": plan.noise_schedule,
    }
    return {
        **_facts(cell),
        "plan": plan.to_dict(),
        "released": told,
        "device": str(runs.task.device.type),
        "tuning": trainer.tuning,
        "trained": trained,
        "runs": lines,
        "packages": trainer.packages,
        **again,
    }


def _facts(cell: Cell) -> dict[str, Any]:
    return {"epsilon_scope": cell.spec.epsilon_scope, "randomness": cell.spec.randomness}


def _nothing_ran(cell: Cell, **why: Any) -> dict[str, Any]:
    lines = [{"run": run, "repetition": number, **why} for number, run in enumerate(cell.runs)]
    absent = dict.fromkeys(("plan", "released", "device", "tuning", "trained"))
    return {**_facts(cell), **absent, "runs": lines, **why}


def settings_of(spec: CellSpec) -> TrainingSettings:
    """Return the optimizer's settings of a cell."""
    training = vars(spec.training)
    known = {item.name: training[item.name] for item in fields(TrainingSettings) if item.name in training}
    return TrainingSettings(**known, randomness=spec.randomness)


def after_noise_of(method: Method) -> AfterNoise | None:
    """Return what a method does with the noisy gradient, or None; an error of the method is one of its cell alone."""

    def build(*arguments: Any) -> torch.optim.Optimizer:
        try:
            found = method.build_optimizer(*arguments)
        except FOREIGN_ERRORS as error:
            raise InvalidValue(f"{method.name}: build_optimizer(): {describe_error(error)}") from error
        rule = "must be a torch.optim.Optimizer"
        require(isinstance(found, torch.optim.Optimizer), f"{method.name}: build_optimizer()", found, rule)
        return found

    return AfterNoise(method.after_noise, build) if method.after_noise else None


def seeds_of(spec: CellSpec, repetition: int) -> dict[str, int]:
    """Return the seeds of one repetition by purpose; the noise differs between any two specs."""
    return run_seeds(spec.base_seed, dataset=spec.dataset, model=spec.model, repetition=repetition, spec=spec.digits)


class _Trainer:
    """Trains single runs of a cell; what they share is loaded once, and only if a run is trained at all."""

    def __init__(self, runs: CellRuns, released: Mapping[str, Any], method: Method):
        self.runs, self.cell, self.released = runs, runs.cell, released
        self.packages: tuple[str, ...] = PACKAGES
        self.train: Callable[..., Any] = train
        if self.cell.spec.engine != OWN_ENGINE:
            engine = load_engine(method)
            self.packages, self.train = (*PACKAGES, *engine.packages), partial(train_foreign, engine)
        elif method.after_noise:
            self.train = partial(train, after_noise=after_noise_of(method))
        self.spec: CellSpec = self.cell.spec
        self.tuning: dict[str, Any] = {}
        self._examples: Examples | None = None

    @property
    def examples(self) -> Examples:
        """The training examples, loaded once."""
        if self._examples is None:
            self._examples = training_examples(self.cell.spec, self.runs.task)
        return self._examples

    def tune(self) -> None:
        """Choose learning rate and clip norm for all repetitions, or take up what was chosen before."""
        path = self.runs.logs / "tuning.json"
        try:
            known = read_sealed(path)
        except (MissingFile, DamagedFile):
            known = {"made_by": {}}
        if self.runs.is_current(known["made_by"]):
            self.tuning = known["tuning"]
        else:
            self.tuning = tune(self.cell.spec, self._attempt)
            if ranks().is_first:
                write_sealed(path, {"made_by": self.runs.made_by(), "tuning": self.tuning})
        self.spec = self.cell.spec.tuned(self.tuning["chosen"])

    def _attempt(self, candidate: Mapping[str, float]) -> dict[str, float]:
        """Train with a candidate and return its faults on examples that it has not seen, the leading one first."""
        spec, task = self.cell.spec, self.runs.task
        spec = spec.tuned({**candidate, "steps": spec.training.trial_steps})
        seeds = seeds_of(spec, REPETITION)
        _, running, _ = task.model(seeds["head_init"])
        self._run(running, spec, seeds, checkpoint_path=None, evaluate=None)
        return task.faults(running, choosing_examples(spec, task), spec.training.micro_batch_size)

    def _run(self, model: nn.Module, spec: CellSpec, seeds: Mapping[str, int], **options: Any) -> Any:
        with tqdm(total=spec.training.steps, desc="steps", unit="step", leave=False) as bar:
            return self.train(
                model,
                plan=spec.plan(**self.released),
                examples=self.examples,
                loss=self.runs.task.loss,
                settings=settings_of(spec),
                seeds=seeds,
                progress=lambda done, steps: bar.update(done - bar.n),
                **options,
            )

    def line(self, number: int) -> dict[str, Any]:
        """Return the line of one repetition, trained unless it is there."""
        log = self.runs.finished(number)
        if log is None:
            log, timing = self._train(number)
            if ranks().is_first:
                self.runs.save(log, timing)
        return self.runs.line(number, log)

    def _train(self, number: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Train a repetition; return its log and its measured times."""
        run, seeds = self.cell.runs[number], seeds_of(self.cell.spec, number)
        made_by = {"code": self.runs.code}
        head = {"run": run, "repetition": number, "status": "done", "reason": None, "created_by": made_by}
        forget_peak_memory(self.runs.task.device)  # what a process trained before is not this run's
        try:
            model, running, summary = self.runs.task.model(seeds["head_init"])
            result = self._resumed(running, run, seeds)
        except Unsupported as error:
            return {**head, "status": "skipped", "reason": str(error)}, None
        except LmodpError as error:
            return {**head, **failed(error)}, None
        own = {**head, "seeds": seeds, "trained": summary, "clipped_share": mean_clipped_share(result.record)}
        log = {**head, **result.record, **own}  # another engine's record never speaks for the suite
        weights = {
            name: value.detach().cpu().contiguous() for name, value in model.named_parameters() if value.requires_grad
        }
        finite = all(bool(torch.isfinite(value).all()) for value in weights.values())
        reason = result.fault if finite else "a trained weight is not finite after the last step"
        if reason:
            return {**log, "status": "diverged", "reason": reason}, result.timing
        if ranks().is_first:
            self.runs.folder.mkdir(parents=True, exist_ok=True)
            save_file(weights, self.runs.weights(run))
        return {**log, "weights_sha256": weights_hash(weights)}, result.timing

    def _resumed(self, model: nn.Module, run: str, seeds: Mapping[str, int]) -> Any:
        """Train from the run's checkpoint, if it can be used; a damaged or foreign one is thrown away."""
        if self.spec.trainable == UNTRAINED:
            plan, settings = self.spec.plan(None), settings_of(self.spec)
            return TrainingResult(RunLog().record(plan=plan, settings=settings, meter=None, trainable=0), timing={})
        training = self.cell.spec.training
        checkpoint = self.runs.checkpoint(run) if training.checkpoint_every or self.runs.long else None
        evaluate = self._scores if training.evaluate_every else None
        try:
            return self._run(model, self.spec, seeds, checkpoint_path=checkpoint, evaluate=evaluate)
        except DamagedFile as error:
            if not ranks().of_first(checkpoint is not None and checkpoint.exists()):
                raise
            assert checkpoint is not None
            print(f"{error} It is deleted now.", flush=True)
            delete_checkpoint(checkpoint)
            return self._run(model, self.spec, seeds, checkpoint_path=checkpoint, evaluate=evaluate)

    def _scores(self, model: nn.Module) -> dict[str, float]:
        """Scores along the way; the final score is evaluate_model's."""
        scores = self.runs.task.score(model)
        return {name: value for name, value in scores.items() if isinstance(value, float)}


def load_trained(task: Task, seed: int, weights: Any) -> nn.Module:
    """Return the model of a run with its trained weights, as it was at the last step."""
    model, running, _ = task.model(seed)
    values = load_file(weights)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(values[name])
    return running
