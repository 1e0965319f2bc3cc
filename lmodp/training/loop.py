"""The training run: T private steps, checkpoints, evaluations and the conformance record."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lmodp.errors import FOREIGN_ERRORS, InvalidValue, LmodpError, describe_error, require, require_finite
from lmodp.plan import Plan
from lmodp.records.fingerprint import code_fingerprint
from lmodp.training.checkpoint import delete_checkpoint, load_checkpoint, run_identity, save_checkpoint
from lmodp.training.examples import Examples
from lmodp.training.losses import Loss
from lmodp.training.memory import measured
from lmodp.training.randomness import seed_dropout, stream_key
from lmodp.training.ranks import ranks
from lmodp.training.run_log import RunLog, snapshot, unmoved
from lmodp.training.settings import AfterNoise, TrainingSettings, build_optimizer
from lmodp.training.step import PrivateStep, StepHook
from lmodp.vocabulary import PURPOSES_OF_STEPS

CHECKPOINT_SECONDS = 600.0  # between checkpoints where no number of steps is given
_TORCHS_OWN = {"state", "param_groups", "defaults", "_need_device_dtype_check_for_fused", "_opt_called"}
Evaluate = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves beside the trained model.

    ``record`` is the content of ``training.json``, the same bytes for the same spec; ``timing`` is the content of
    ``timing.json``. ``fault`` says why the run learned nothing from its data (`run_log`); None if it did.
    """

    record: dict[str, Any]
    timing: dict[str, Any]
    fault: str | None = None


def train(
    model: nn.Module,
    *,
    plan: Plan,
    examples: Examples,
    loss: Loss,
    settings: TrainingSettings,
    seeds: Mapping[str, int],
    checkpoint_path: Path | str | None = None,
    evaluate: Evaluate | None = None,
    progress: Callable[[int, int], None] | None = None,
    hooks: Sequence[StepHook] = (),
    after_noise: AfterNoise | None = None,
) -> TrainingResult:
    """Train the model's trainable parameters under a plan, in place.

    Args:
        plan: rate, steps, clip norm and noise; ``noise`` None for a non-private run.
        examples: N training examples, N = ``plan.dataset_size``.
        loss: ``loss(model, batch)`` returns one loss per example.
        seeds: for "sampling", "dropout" and "noise".
        checkpoint_path: where checkpoints are written; an existing one is resumed. It is deleted with the last step,
            because it holds the key of the noise.
        evaluate: ``evaluate(model)`` returns numbers; called in evaluation mode.
        progress: called with (steps done, steps) after every step.
        hooks: see `StepHook`.
        after_noise: what a method does with the noisy gradient, in place of the optimiser that the settings name.

    Raises:
        InvalidValue: a weight is not finite.
        Unsupported: a trainable layer cannot be clipped per example.
        DamagedFile: the checkpoint is damaged or belongs to another run.

    Under ``torchrun``, after `lmodp.training.ranks.join`, all ranks call this alike; the first one scores, writes
    checkpoints and reports progress. A checkpoint can be taken up by another number of ranks.
    """
    rule = f"must be the number of training examples, {len(examples)}"
    require(len(examples) == plan.dataset_size, "dataset_size", plan.dataset_size, rule)
    ranks().require_work(plan.expected_batch_size)
    require_finite(model.named_parameters())
    run = _Run(model, plan, examples, loss, settings, seeds, checkpoint_path, hooks, after_noise)
    while run.step < plan.steps:
        model.train()
        report = run.private.run(run.step)  # draw, clip, sum, add noise, divide: the private gradient is in .grad
        run.move()
        run.log.add(report)
        run.step += 1
        if evaluate is not None and run.ranks.is_first and run.is_due(settings.evaluate_every):
            model.eval()
            with torch.no_grad():
                run.log.evaluations.append({"step": run.step, **evaluate(model)})
        if run.checkpoint_is_due():
            run.save()
        if progress is not None and run.ranks.is_first:
            progress(run.step, plan.steps)
    run.agree_on_weights()
    if checkpoint_path is not None and run.ranks.is_first:
        delete_checkpoint(checkpoint_path)
    return run.result()


class _Run:
    """A run's state: what a checkpoint holds, restored from one if there is one."""

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Mapping[str, int],
        checkpoint_path: Path | str | None,
        hooks: Sequence[StepHook],
        after_noise: AfterNoise | None,
    ):
        self.started = self.saved = time.perf_counter()
        self.plan, self.settings, self.path = plan, settings, checkpoint_path
        self.identity, held, self.ranks = {}, None, ranks()
        if checkpoint_path is not None or self.ranks.count > 1:
            self.identity = run_identity(model, plan, settings, seeds, examples, loss)
            self.identity["code"] = code_fingerprint(__name__)
            self.identity |= {"what follows the noise": after_noise.name} if after_noise else {}
            self.ranks.agree(self.identity)
        if checkpoint_path is not None:
            held = load_checkpoint(checkpoint_path, identity=self.identity)
            self.ranks.agree({"checkpoint": str(held and held["step"])})
        if held is None:
            own = {name: stream_key(seeds[name], randomness=settings.randomness) for name in PURPOSES_OF_STEPS}
            keys = self.ranks.of_first(own)
        else:
            keys = held["keys"]
        self.private = PrivateStep(
            model, plan=plan, examples=examples, loss=loss, settings=settings, keys=keys, hooks=hooks
        )
        self.after_noise, parameters = after_noise, self.private.parameters
        seed_dropout(keys["dropout"], -1)  # what a method draws as it builds
        self.optimizer = (
            after_noise.build(parameters, settings, plan) if after_noise else build_optimizer(settings, parameters)
        )
        self.as_built = _beside_state(self.optimizer)
        self.log, self.step, self.before = RunLog(), 0, snapshot(self.private.parameters)
        if held is not None:
            self._restore(held)
        self.first_step = self.step

    def is_due(self, every: int | None) -> bool:
        """Whether something is due that happens after every so many steps, and after the last one."""
        return self.step == self.plan.steps or (every is not None and self.step % every == 0)

    def move(self) -> None:
        """Move the weights by the gradient estimate, at the step's learning rate."""
        factor = self.plan.releases.schedule.at("learning_rate", self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate_at(self.step, steps=self.plan.steps) * factor
        with self._told("step()"):
            self.private.sums.apply(self.optimizer)

    @contextmanager
    def _told(self, call: str) -> Iterator[None]:
        """An error of a method's optimiser is one of its cell alone."""
        try:
            yield
        except FOREIGN_ERRORS as error:
            if self.after_noise is None or isinstance(error, LmodpError):
                raise
            raise InvalidValue(f"{self.after_noise.name}: the optimiser's {call}: {describe_error(error)}") from error

    def checkpoint_is_due(self) -> bool:
        """Whether the run has a path for a checkpoint, and as many steps, or `CHECKPOINT_SECONDS`, have passed."""
        if self.path is None:
            return False
        if self.settings.checkpoint_every is not None:
            return self.step % self.settings.checkpoint_every == 0
        return self.ranks.of_first(time.perf_counter() - self.saved >= CHECKPOINT_SECONDS)

    def agree_on_weights(self) -> None:
        """Make sure that all ranks have moved the weights alike."""
        if self.ranks.count > 1:
            self.ranks.agree({"trained weights": str([number for number, _ in snapshot(self.private.parameters)])})

    def save(self) -> None:
        """Write a checkpoint, for all ranks; none where the optimiser keeps a state that it would not hold."""
        self.agree_on_weights()
        self.saved = time.perf_counter()
        if self.path is None or not self.ranks.is_first or _beside_state(self.optimizer) != self.as_built:
            return
        with self._told("state_dict()"):
            optimizer = self.optimizer.state_dict()
        state = {
            "step": self.step,
            "keys": self.private.keys,
            "parameters": [parameter.detach() for parameter in self.private.parameters],
            "optimizer": optimizer,
            "log": json.dumps(self.log.state()),
            "private": self.private.state(),
        }
        save_checkpoint(self.path, state, identity=self.identity)

    def _restore(self, held: dict[str, Any]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.private.parameters, held["parameters"], strict=True):
                parameter.copy_(value)
        with self._told("load_state_dict()"):
            self.optimizer.load_state_dict(held["optimizer"])
        self.log.restore(json.loads(held["log"]))
        self.private.restore(held["private"])
        self.step = held["step"]

    def result(self) -> TrainingResult:
        """Return the conformance record and the timing."""
        record = self.log.record(
            plan=self.plan,
            settings=self.settings,
            meter=self.private.meter,
            trainable=sum(parameter.numel() for parameter in self.private.parameters),
        )
        if self.after_noise is not None:
            record["after_noise"] = self.after_noise.name
        timing = {
            **measured(self.started, self.step - self.first_step, self.private.device),
            **({"ranks": self.ranks.count} if self.ranks.count > 1 else {}),
        }
        fault = self.log.fault() or unmoved(self.before, self.private.parameters, self.plan.steps)
        return TrainingResult(record=record, timing=timing, fault=fault)


def _beside_state(optimizer: torch.optim.Optimizer) -> Any:
    """Return the plain values and tensors among an optimiser's attributes that its ``state_dict`` leaves out."""
    return _plain({name: value for name, value in vars(optimizer).items() if name not in _TORCHS_OWN})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, deque)):
        return list(map(_plain, value))
    if isinstance(value, torch.optim.Optimizer):
        return _plain(value.state_dict())
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
        value = value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy()
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return repr(value) if isinstance(value, (int, float, complex, str, bytes, np.generic)) else None
