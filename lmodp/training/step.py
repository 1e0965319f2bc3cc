"""One step: draw, clip and sum, add noise, divide. What leaves it is private.

What is summed up, how the clip norm is set and how the noise of the steps hangs together are objects of
`lmodp.training.releases`, chosen by the plan; the order of things is here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from lmodp.errors import Unsupported, require
from lmodp.mechanisms.releases import Part
from lmodp.plan import Plan
from lmodp.training.examples import Examples, arranged
from lmodp.training.losses import Loss
from lmodp.training.noise import NoiseMeter, device_noise
from lmodp.training.randomness import device_generator
from lmodp.training.ranks import ranks
from lmodp.training.releases import NORMS, STREAMS, SUMS
from lmodp.training.run_log import StepReport
from lmodp.training.sampling import PoissonSampler, micro_batches
from lmodp.training.settings import TrainingSettings

T = TypeVar("T")


class StepHook:
    """A seam for audits: sees, and may add to, the ``.grad`` of what a step releases (the trained parameters, mostly).

    ``state`` and ``restore`` carry what the hook has gathered across a checkpoint, as tensors and plain values.
    """

    def before_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Called with the clipped sum; extra examples add their clipped gradients here."""

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter], scale: float) -> None:
        """Called with the noisy sum, which is what the mechanism releases, and the factor of its noise."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""


class PrivateStep:
    """Turns a step's number into a gradient estimate in ``.grad``.

    Guarantees:
        * In this order: Poisson draw; clipped gradients summed over all micro-batches; noise of ``plan.noise`` times
          the sensitivity of what is released added once to every coordinate of the sum; division by the constant
          ``expected_batch_size``.
        * The noise depends on (noise key, step) only, never on the batch drawn.
        * Several ranks (`lmodp.training.ranks`) make one draw, share its examples, add up their sums in the sums' own
          precision, and add the same noise once. Sums differ by the order of additions, and by dropout masks.

    Edge cases:
        =========================  ==================================================
        nobody is drawn            the sum is zero, noise is added, the step counts
        example not finite         its share is zero (`ClippingEngine`), and counted
        ``plan.noise`` is None     no noise; nothing private is claimed
        =========================  ==================================================

    Args:
        keys: stream keys for "sampling", "dropout" and "noise".
        hooks: see `StepHook`.

    Raises:
        Unsupported: a trainable layer cannot be clipped per example, the guard finds that an example's gradient is not
            its own (`clipping.guard`), or a part of the plan's releases has no entry in `lmodp.training.releases`.
        InvalidValue: a step releases another number of coordinates than the plan's releases say.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        keys: dict[str, str],
        hooks: Sequence[StepHook] = (),
    ):
        self.plan, self.settings, self.keys, self.hooks, self.examples = plan, settings, keys, hooks, examples
        self.device, parts = next(model.parameters()).device, plan.releases
        self.ranks = ranks()
        run: dict[str, Any] = {"plan": plan, "examples": examples, "loss": loss, "settings": settings}
        self.sums = _built(SUMS, parts.step)(model, key=keys["dropout"], **run)
        self.norm = _built(NORMS, parts.clip)(parts.clip, clip_norm=plan.clip_norm, device=self.device)
        size, stated = sum(value.numel() for value in self.sums.released), parts.step.dimension
        rule = f"is what {parts.step.kind!r} is certified for, and a step releases {size} numbers"
        require(stated in (None, size), "dimension", stated, rule, "Mend the dimension of the part, or its sums.")
        self.sampler = PoissonSampler(plan=plan, key=keys["sampling"])
        self.noise = self.meter = None
        if plan.noise is not None:
            self.meter = NoiseMeter(plan.noise)
            source = device_noise(plan.noise, self.device)
            self.noise = _built(STREAMS, parts.correlation)(parts.correlation, source=source, meter=self.meter)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trainable parameters, in the model's order."""
        return self.sums.parameters

    @property
    def released(self) -> list[nn.Parameter]:
        """What a step releases, in their ``.grad``: the trainable parameters, mostly."""
        return [*self.sums.released, *self.norm.released]

    def clip_norm(self, step: int) -> float:
        """Return the clip norm of a step."""
        return self.norm.value * self.plan.releases.schedule.at("clip_norm", step)

    def noise_scale(self, step: int) -> float:
        """Return the factor of a step's noise."""
        noise_factor = self.plan.releases.schedule.at("noise", step)
        if self.plan.noise_scale is not None:
            return self.plan.noise_scale
        return self.clip_norm(step) * self.plan.releases.sensitivity * noise_factor

    def run(self, step: int) -> StepReport:
        """Leave the step's gradient estimate in ``.grad``; steps count from 0."""
        report = self.sum_clipped(step)
        for hook in self.hooks:
            hook.before_noise(step, self.released)
        self.add_noise(step)
        for hook in self.hooks:
            hook.after_noise(step, self.released, self.noise_scale(step))
        divisor = self.plan.expected_batch_size * self.plan.releases.schedule.at("batch", step)
        self.norm.update(divisor, self.clip_norm(step))
        self.sums.divide(divisor)
        return report

    def sum_clipped(self, step: int) -> StepReport:
        """Leave the sum of the drawn examples' clipped gradients in the ``.grad`` of what is released."""
        drawn, clip_norm = self.sampler.draw(step), self.clip_norm(step)
        dealt = self.ranks.deal(arranged(self.examples, drawn))
        batches = _Batches(self.examples, dealt, self.settings.micro_batch_size)
        reports = self.sums.add_up(batches, step=step, clip_norm=clip_norm)
        self.norm.count(reports, clip_norm)
        self.ranks.add([parameter.grad for parameter in self.released if parameter.grad is not None])
        counts = [(one.clipped, one.non_finite, one.silent, float(one.losses.sum())) for one in reports]
        own = [float(sum(column)) for column in zip(*counts, strict=True)] or [0.0] * 4
        *totals, losses = self.ranks.total(own)
        clipped, non_finite, silent = map(int, totals)
        loss = losses / len(drawn) if len(drawn) and np.isfinite(losses) else None
        return StepReport(len(drawn), clipped, non_finite, loss, silent)

    def add_noise(self, step: int) -> None:
        """Add the step's noise to every coordinate of what is released."""
        if self.noise is None:
            return
        generator = device_generator(self.keys["noise"], "noise", step, self.device)
        sums = [parameter.grad for parameter in self.released if parameter.grad is not None]
        self.noise.add(sums, scale=self.noise_scale(step), generator=generator)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {
            "clip_norm": self.norm.value,
            "sums": self.sums.state(),
            "noise": {} if self.noise is None else self.noise.state(),
            "meter": None if self.meter is None else self.meter.state(),
            "hooks": [hook.state() for hook in self.hooks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""
        self.norm.value = state["clip_norm"]
        self.sums.restore(state["sums"])
        if self.noise is not None and self.meter is not None:
            self.noise.restore(state["noise"])
            self.meter.restore(state["meter"])
        for hook, held in zip(self.hooks, state["hooks"], strict=True):
            hook.restore(held)


def _built(table: Mapping[type[Part], type[T]], part: Part) -> type[T]:
    """Return what the engine does for a part."""
    if type(part) not in table:
        known = ", ".join(kind.__name__ for kind in table)
        name = type(part).__name__
        raise Unsupported(f"{name}: the engine has no entry for it, only for {known}. See lmodp.training.releases.")
    return table[type(part)]


@dataclass(frozen=True)
class _Batches:
    """The drawn examples in micro-batches with their sizes, as often as they are gone through."""

    examples: Examples
    drawn: np.ndarray
    size: int

    def __iter__(self) -> Iterator[tuple[Mapping[str, Tensor], int]]:
        return ((self.examples.batch(piece), len(piece)) for piece in micro_batches(self.drawn, self.size))
