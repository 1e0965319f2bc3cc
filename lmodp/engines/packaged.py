"""An engine made of another package's parts: what all of them need around one run."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.mechanisms import DEFAULT, Gaussian
from lmodp.plan import Plan
from lmodp.training import Examples, TrainingResult, TrainingSettings
from lmodp.training.examples import arranged
from lmodp.training.losses import Loss, in_precision
from lmodp.training.memory import measured
from lmodp.training.run_log import RunLog, StepReport
from lmodp.training.sampling import micro_batches


class PackageRun(ABC):
    """A package's parts for one run; as a context, it takes them off the model at the end.

    Raises:
        Unsupported: the plan is not Gaussian noise under flat clipping, one sum a step, or the package cannot train the
            model.
    """

    title: str
    optimizer: Any

    def __init__(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ):
        if not isinstance(plan.noise, Gaussian) or plan.clipping != "flat":
            raise Unsupported(f"{self.title} adds Gaussian noise under flat clipping only")
        if plan.releases != DEFAULT:
            raise Unsupported(f"{self.title} releases one noisy sum a step, all alike; asked: {plan.releases.told}")
        self.plan, self.examples, self.settings, self.seeds = plan, examples, settings, seeds
        self.device, self.loss = next(model.parameters()).device, in_precision(loss, settings.precision)
        self.parameters: list[Any] = [value for value in model.parameters() if value.requires_grad]
        self.called: Any = self.assemble(model, plan.noise.std)
        self.rows = RowAnExample(model)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.rows.remove()
        self.detach()

    @abstractmethod
    def assemble(self, model: nn.Module, noise_multiplier: float) -> nn.Module:
        """Put the package's parts around a model, set ``optimizer``, and return what is called in its place."""

    @abstractmethod
    def detach(self) -> None:
        """Take the parts off the model."""

    @abstractmethod
    def draw(self, step: int) -> np.ndarray:
        """Return the examples that a step draws."""

    @abstractmethod
    def add_up(self, pieces: list[np.ndarray]) -> Iterable[float]:
        """Sum the clipped gradients of all micro-batches but what the step itself adds; yield the summed losses."""

    def step(self) -> None:
        """Move the weights by the sum and its noise."""
        self.optimizer.step()

    @abstractmethod
    def release(self) -> Tensor:
        """Return the noisy sum, flat."""

    @abstractmethod
    def used(self) -> dict[str, Any]:
        """Return rate, size, divisor, clip norm and noise multiplier, read back from the package's own objects."""

    def accumulate(self, drawn: np.ndarray) -> StepReport:
        """Sum the clipped gradients of the examples drawn."""
        pieces = list(micro_batches(arranged(self.examples, drawn), self.settings.micro_batch_size))
        total = sum(self.add_up(pieces))
        return StepReport(len(drawn), clipped=0, non_finite=0, loss=total / len(drawn) if len(drawn) else None)

    def advance(self, drawn: np.ndarray) -> StepReport:
        """Take one step on the examples drawn."""
        report = self.accumulate(drawn)
        self.step()
        self.optimizer.zero_grad()
        return report

    def losses(self, piece: np.ndarray) -> Tensor:
        """Return the losses (B,) of one micro-batch."""
        self.rows.size = len(piece)
        return self.loss(self.called, self.examples.batch(piece))

    def record(self, log: RunLog) -> dict[str, Any]:
        """Return the conformance record; the packages do not say how many examples they clipped."""
        trainable, used = sum(value.numel() for value in self.parameters), self.used()
        noise = Gaussian(std=used.pop("noise_multiplier")).to_dict()
        return {
            **log.record(plan=self.plan, settings=self.settings, meter=None, trainable=trainable),
            **used,
            **{"sampler": "poisson", "clipping": "flat", "clipped": []},
            **{"noise": noise, "noise_scale": used["clip_norm"]},
        }


class PackageEngine:
    """See `lmodp.methods.engine.Engine`."""

    packages: tuple[str, ...]
    run: type[PackageRun]

    def train(self, model: nn.Module, *, plan: Plan, settings: TrainingSettings, **run: Any) -> TrainingResult:
        """Train under a plan with the package; see the interface for the further arguments."""
        started, log = time.perf_counter(), RunLog()
        with self.run(model, plan=plan, settings=settings, **run) as one:
            for step in range(plan.steps):
                for group in one.optimizer.param_groups:
                    group["lr"] = settings.rate_at(step, steps=plan.steps)
                log.add(one.advance(one.draw(step)))
            return TrainingResult(record=one.record(log), timing=measured(started, plan.steps, one.device))

    def probe_step(self, model: nn.Module, **run: Any) -> Tensor:
        """Return the noisy sum of one step; the arguments are those of `train`."""
        with self.run(model, **run) as one:
            one.accumulate(one.draw(0))
            return one.release()


class RowAnExample:
    """Hooks that expand a shared (1, T) index of an embedding to (B, T), as per-example engines need.

    BERT and GPT-2 look up their position table once and add the result to every
    example. With the hooks the values stay the same, and each example has its own gradient.
    """

    def __init__(self, model: nn.Module):
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        self.size, self.handles = 1, [table.register_forward_pre_hook(self._expand) for table in tables]

    def _expand(self, module: nn.Module, arguments: tuple) -> tuple:
        index, *rest = arguments
        return (index.expand(self.size, -1) if index.dim() == 2 and len(index) == 1 else index, *rest)

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()
