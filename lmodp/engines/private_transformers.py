"""private-transformers: its ghost clipping (two backward passes) and its noise, with the suite's Poisson samples.

The package has no sampler. It takes the batches of a data loader (shuffled ones in
its examples), but its accountant assumes Poisson sampling. Here it receives the
suite's Poisson samples.

References:
    Li et al. 2022, arXiv 2110.05679.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from private_transformers import PrivacyEngine
from torch import Tensor, nn

from lmodp.engines.positions import RowAnExample
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian
from lmodp.plan import Plan
from lmodp.training import Examples, PoissonSampler, TrainingResult, TrainingSettings
from lmodp.training.examples import arranged
from lmodp.training.losses import Loss, in_precision
from lmodp.training.memory import peak_memory
from lmodp.training.randomness import stream_key
from lmodp.training.run_log import RunLog, StepReport
from lmodp.training.sampling import micro_batches
from lmodp.training.settings import build_optimizer


class PrivateTransformersEngine:
    """See `lmodp.engines.Engine`."""

    packages: tuple[str, ...] = ("private-transformers", "ml-swissknife")

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
        """Train under a plan with private-transformers."""
        started, log = time.perf_counter(), RunLog()
        with _attached(model, plan, examples, loss, settings, seeds) as run:
            for step in range(plan.steps):
                for group in run.optimizer.param_groups:
                    group["lr"] = settings.rate_at(step, steps=plan.steps)
                log.add(run.advance(step))
            record = {
                **log.record(plan=plan, settings=settings, meter=None, trainable=run.engine.num_params),
                **run.facts(),
                "clipped": [],
            }  # the package does not say how many examples it clipped
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
        with _attached(model, plan, examples, loss, settings, seeds) as run:
            last, _ = run.accumulate(0)
            run.engine.step(loss=last)
            return torch.cat([value.grad.flatten() for _, value in run.engine.named_params]) * run.engine.batch_size


@contextmanager
def _attached(*arguments: Any) -> Iterator[_Run]:
    """Context: attach the engine to a model, and detach it at the end."""
    run = _Run(*arguments)
    try:
        yield run
    finally:
        run.engine.detach()
        run.rows.remove()


class _Whole(nn.Module):
    """Hides a model's class; the package would replace its forward pass by that of an older transformers version."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Tensor:
        """Call the model."""
        return self.model(**inputs)


class _Run:
    """The package's engine for one run."""

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ):
        _refuse(model, plan)
        self.device, self.plan, self.examples, self.settings = next(model.parameters()).device, plan, examples, settings
        self.loss = in_precision(loss, settings.precision)
        self.whole = _Whole(model).train()
        self.engine = PrivacyEngine(
            self.whole,
            batch_size=plan.expected_batch_size,
            sample_size=plan.dataset_size,
            epochs=plan.steps * plan.sampling_rate,
            max_grad_norm=plan.clip_norm,
            noise_multiplier=plan.given_noise.std,
            target_delta=plan.delta,
            clipping_mode="ghost",
            record_snr=False,
            skip_checks=True,  # the package knows its own list of classes only, and would refuse the wrapper
        )
        self.optimizer: Any = build_optimizer(settings, [value for value in model.parameters() if value.requires_grad])
        self.engine.attach(self.optimizer)
        self.rows = RowAnExample(model)
        self.sampler = PoissonSampler(plan=plan, key=stream_key(seeds["sampling"], randomness="seeded"))
        torch.manual_seed(seeds["noise"])  # the package draws noise and dropout from the global generator

    def advance(self, step: int) -> StepReport:
        """Take one step."""
        last, report = self.accumulate(step)
        self.optimizer.step(loss=last)
        self.optimizer.zero_grad()
        return report

    def accumulate(self, step: int) -> tuple[Tensor, StepReport]:
        """Sum the clipped gradients of all micro-batches except the last; return the last one's losses."""
        drawn = self.sampler.draw(step)
        pieces = list(micro_batches(arranged(self.examples, drawn), self.settings.micro_batch_size))
        # The package cannot take a step without examples; one example with gradient zero adds nothing.
        batches = [self._losses(piece) for piece in pieces[:1]] or [0.0 * self._losses(np.array([0]))]
        total = float(batches[0].detach().sum())
        for piece in pieces[1:]:
            self.optimizer.virtual_step(loss=batches.pop())
            batches.append(self._losses(piece))
            total += float(batches[0].detach().sum())
        return batches[0], StepReport(
            batch_size=len(drawn), clipped=0, non_finite=0, loss=total / len(drawn) if len(drawn) else None
        )

    def _losses(self, piece: np.ndarray) -> Tensor:
        self.rows.size = len(piece)
        return self.loss(self.whole, self.examples.batch(piece))

    def facts(self) -> dict[str, object]:
        """Return what the package used, read back from its engine."""
        return {
            "sampling_rate": self.engine.sample_rate,
            "dataset_size": self.engine.sample_size,
            "sampler": "poisson",
            "divisor": self.engine.batch_size,
            "clip_norm": self.engine.max_grad_norm,
            "clipping": "flat",
            "noise": Gaussian(std=self.engine.noise_multiplier).to_dict(),
            "noise_scale": self.engine.max_grad_norm,
        }


def _refuse(model: nn.Module, plan: Plan) -> None:
    if not isinstance(plan.noise, Gaussian) or plan.clipping != "flat":
        raise Unsupported("private-transformers adds Gaussian noise under flat clipping only")
    uses: dict[nn.Parameter, list[str]] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        if value.requires_grad:
            uses.setdefault(value, []).append(name)
    tied = next((names for names in uses.values() if len(names) > 1), None)
    if tied:
        raise Unsupported(f"private-transformers forgets the cross terms of tied parameters ({', '.join(tied)})")
