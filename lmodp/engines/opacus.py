"""Opacus end to end: its per-example gradients, clipping, noise and Poisson sampler.

This module assembles Opacus's parts itself instead of calling
``PrivacyEngine.make_private``. The latter uses the sampling rate
1 / len(data_loader): with 7,568 examples and batches of 1,024 that is 1/8, but the
plan says 0.1353.

References:
    Yousefpour et al. 2021, arXiv 2109.12298.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.grad_sample.grad_sample_module import promote_current_grad_sample
from opacus.optimizers import DPOptimizer
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertPooler

from lmodp.engines.positions import RowAnExample
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian
from lmodp.plan import Plan
from lmodp.training import Examples, TrainingResult, TrainingSettings
from lmodp.training.examples import arranged
from lmodp.training.losses import Loss, in_precision
from lmodp.training.memory import peak_memory
from lmodp.training.run_log import RunLog, StepReport
from lmodp.training.sampling import micro_batches
from lmodp.training.settings import build_optimizer


class OpacusEngine:
    """See `lmodp.engines.Engine`."""

    packages: tuple[str, ...] = ("opacus",)

    def train(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ) -> TrainingResult:
        """Train under a plan with Opacus."""
        started, log = time.perf_counter(), RunLog()
        with _assembled(model, plan, examples, loss, settings, seeds) as run:
            for step, drawn in enumerate(run.sampler):
                for group in run.optimizer.param_groups:
                    group["lr"] = settings.rate_at(step, steps=plan.steps)
                log.add(run.advance(drawn))
            record = {**log.record(plan=plan, settings=settings, meter=None, trainable=run.trainable), **run.facts()}
        timing = {
            "wall_seconds": time.perf_counter() - started,
            "steps_run": plan.steps,
            "device": str(run.device),
            "threads": torch.get_num_threads(),
            **peak_memory(run.device),
        }
        return TrainingResult(record=record, timing=timing)

    def probe_step(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ) -> Tensor:
        """Return the noisy sum of one step."""
        with _assembled(model, plan, examples, loss, settings, seeds) as run:
            run.accumulate(next(iter(run.sampler)))
            run.optimizer.pre_step()
            return (
                torch.cat([value.grad.flatten() for value in run.optimizer.params]) * run.optimizer.expected_batch_size
            )


@contextmanager
def _assembled(*arguments: Any) -> Iterator[_Run]:
    """Context: wrap a model in Opacus, and unwrap it at the end."""
    run = _Run(*arguments)
    try:
        yield run
    finally:
        run.wrapped.remove_hooks()
        run.rows.remove()
        for parameter in run.optimizer.params:
            del parameter.grad_sample, parameter.summed_grad


class _Run:
    """Opacus's parts for one run."""

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ):
        if not isinstance(plan.noise, Gaussian) or plan.clipping != "flat":
            raise Unsupported("Opacus adds Gaussian noise under flat clipping only")
        self.device, self.plan, self.examples, self.settings = next(model.parameters()).device, plan, examples, settings
        self.loss = in_precision(loss, settings.precision)
        model.train()
        # Not strict: otherwise Opacus refuses buffers such as position numbers, which have no gradient.
        self.wrapped = GradSampleModule(model, loss_reduction="mean", strict=False)
        parameters = [value for value in self.wrapped.parameters() if value.requires_grad]
        self.optimizer = DPOptimizer(
            build_optimizer(settings, parameters),
            noise_multiplier=plan.noise.std,
            max_grad_norm=plan.clip_norm,
            expected_batch_size=plan.expected_batch_size,
            generator=torch.Generator(self.device).manual_seed(seeds["noise"]),
        )
        self.sampler = UniformWithReplacementSampler(
            num_samples=plan.dataset_size,
            sample_rate=plan.sampling_rate,
            steps=plan.steps,
            generator=torch.Generator().manual_seed(seeds["sampling"]),
        )
        self.rows = RowAnExample(model)
        self.trainable = sum(value.numel() for value in parameters)
        torch.manual_seed(seeds["dropout"])

    def advance(self, drawn: list[int]) -> StepReport:
        """Take one step on the examples that the sampler drew."""
        report = self.accumulate(drawn)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return report

    def accumulate(self, drawn: list[int]) -> StepReport:
        """Sum clipped gradients of all micro-batches except the last, which the optimizer's own step adds."""
        self.optimizer.zero_grad()
        indices = arranged(self.examples, torch.tensor(drawn, dtype=torch.int64).numpy())
        pieces = list(micro_batches(indices, self.settings.micro_batch_size))
        reports = []
        for number, piece in enumerate(pieces):
            reports.append(self._backward(piece))
            if number + 1 < len(pieces):  # as Opacus's own BatchMemoryManager does
                self.optimizer.signal_skip_step(do_skip=True)
                self.optimizer.step()
                self.optimizer.zero_grad()
        if not pieces:
            for parameter in self.optimizer.params:
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
        return _joined(reports)

    def _forget_unused_pooler(self) -> None:
        """BERT's own forward pass runs its pooler on the first token without need; the head runs the pooler again.

        Opacus waits for a gradient of the first call, which never comes. It matches
        gradients to calls in reverse order, so the gradient that it has is the head's,
        and it is complete.
        """
        for module in self.wrapped.modules():
            if isinstance(module, BertPooler) and getattr(module.dense, "activations", None):
                dense: Any = module.dense  # Opacus has put attributes of its own on it and on its parameters
                dense.activations.clear()
                del dense.max_batch_len
                for parameter in dense.parameters():
                    if parameter.requires_grad:
                        parameter._forward_counter = 0
                        promote_current_grad_sample(parameter)

    def _backward(self, piece: np.ndarray) -> StepReport:
        self.rows.size = len(piece)
        losses = self.loss(self.wrapped, self.examples.batch(piece))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*non-full backward hook.*|.*Full backward hook.*")
            losses.mean().backward()
        self._forget_unused_pooler()
        self._require_per_example(len(piece))
        return StepReport(batch_size=len(piece), clipped=0, non_finite=0, loss=float(losses.detach().sum()))

    def _require_per_example(self, size: int) -> None:
        """Raise an error if gradients are not per example: clipping them would not bound the sensitivity."""
        for parameter in self.optimizer.params:
            found = getattr(parameter, "grad_sample", None)
            if not isinstance(found, Tensor) or len(found) != size:
                name = next(key for key, value in self.wrapped.named_parameters() if value is parameter)
                seen = "none" if found is None else f"{len(found)} for {size} examples"
                raise Unsupported(f"Opacus has no per-example gradients of {name.removeprefix('_module.')} ({seen})")

    def facts(self) -> dict[str, object]:
        """Return what Opacus used, read back from its own objects."""
        return {
            "sampling_rate": self.sampler.sample_rate,
            "dataset_size": self.sampler.num_samples,
            "sampler": "poisson",
            "divisor": self.optimizer.expected_batch_size,
            "clip_norm": self.optimizer.max_grad_norm,
            "clipping": "flat",
            "noise": Gaussian(std=self.optimizer.noise_multiplier).to_dict(),
            "noise_scale": self.optimizer.max_grad_norm,
            "clipped": [],  # Opacus does not report its norms; computing them again would slow it down
        }


def _joined(reports: list[StepReport]) -> StepReport:
    size = sum(report.batch_size for report in reports)
    loss = sum(report.loss or 0.0 for report in reports)
    return StepReport(batch_size=size, clipped=0, non_finite=0, loss=loss / size if size else None)
