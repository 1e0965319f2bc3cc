"""The conformance record: what a run did, for comparison with what was certified, and whether it learned anything.

Noise moves weights as training does. So a run whose examples all fell out looks like any other, unless somebody counts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from lmodp.mechanisms import DEFAULT
from lmodp.plan import Plan
from lmodp.training.noise import NoiseMeter
from lmodp.training.settings import TrainingSettings

NEARLY_ALL = 0.9  # of the drawn examples
_SAMPLE = 4096  # numbers of a parameter that are kept
Snapshot = list[tuple[int, Tensor]]


@dataclass(frozen=True)
class StepReport:
    """What a step did. ``loss`` and the counts come from the data without noise: diagnostics.

    ``silent`` counts the examples that added nothing to the sum; ``non_finite`` ones are among them.
    """

    batch_size: int
    clipped: int
    non_finite: int
    loss: float | None
    silent: int = 0


@dataclass
class RunLog:
    """One entry per step, plain values only."""

    batch_sizes: list[int] = field(default_factory=list)
    clipped: list[int] = field(default_factory=list)
    non_finite: list[int] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)

    def add(self, report: StepReport) -> None:
        """Append a step's report."""
        self.batch_sizes.append(report.batch_size)
        self.clipped.append(report.clipped)
        self.non_finite.append(report.non_finite)
        self.losses.append(report.loss)
        self.silent.append(report.silent)

    def fault(self) -> str | None:
        """Return why the run learned nothing from the examples that it drew, or None."""
        return fault_of_examples(sum(self.batch_sizes), sum(self.non_finite), sum(self.silent))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""
        vars(self).update(state)

    def record(
        self, *, plan: Plan, settings: TrainingSettings, meter: NoiseMeter | None, trainable: int
    ) -> dict[str, Any]:
        """Return the content of ``training.json``.

        Lists have one entry per step: the number of examples drawn, the number of those whose gradient was shortened,
        and the mean loss to four digits (over thousands of examples it varies in the third). ``non_finite`` maps steps,
        counted from 1, to the number of examples whose gradient was not finite.
        """
        scale = plan.effective_noise_scale
        return {
            "steps": len(self.batch_sizes),
            "sampling_rate": plan.sampling_rate,
            "dataset_size": plan.dataset_size,
            "sampler": plan.sampler,
            "adjacency": plan.adjacency,
            "batch_sizes": self.batch_sizes,
            "expected_batch_size": plan.expected_batch_size,
            "divisor": plan.expected_batch_size,
            "clip_norm": plan.clip_norm if math.isfinite(plan.clip_norm) else None,
            "clipping": plan.clipping,
            "noise": None if plan.noise is None else plan.noise.to_dict(),
            "noise_scale": None if plan.noise is None else scale,
            "noise_measured": None if meter is None else meter.report(scale=scale),
            "trainable_parameters": trainable,
            "settings": settings.to_dict(),
            "clipped": self.clipped,
            "non_finite": {str(step): count for step, count in enumerate(self.non_finite, 1) if count},
            "diagnostics": {"private": False, "training_loss": [_four_digits(loss) for loss in self.losses]},
            "evaluations": self.evaluations,
            **({"releases": plan.releases.to_dict()} if plan.releases != DEFAULT else {}),
        }


def mean_clipped_share(record: Mapping[str, Any]) -> float | None:
    """Return the mean over a run's steps of the share of drawn examples that were clipped; None if not counted."""
    if not record.get("clipped"):
        return None
    return fmean(
        clipped / size if size else 0.0 for clipped, size in zip(record["clipped"], record["batch_sizes"], strict=True)
    )


def _four_digits(loss: float | None) -> float | None:
    return None if loss is None else float(f"{loss:.4g}")


def fault_of_examples(drawn: int, non_finite: int, silent: int) -> str | None:
    """Return why a run learned nothing from the examples that it drew in all steps, or None.

    ``silent`` ones added nothing: those whose gradient was not finite, and those whose gradient was zero.
    """
    if drawn and non_finite >= NEARLY_ALL * drawn:
        return (
            f"the gradients of {non_finite} of {drawn} drawn examples were not finite, and these examples were left "
            "out: nearly nothing but noise moved the weights. Lower the learning rate, or use float32."
        )
    if drawn and silent == drawn:
        return f"the gradients of all {drawn} drawn examples were zero: the weights moved as much as without data"
    return None


def snapshot(parameters: Iterable[nn.Parameter]) -> Snapshot:
    """Return what `unmoved` compares: a hash of each parameter, and some of its numbers."""
    values = [parameter.detach().flatten() for parameter in parameters]
    return [(int(torch.hash_tensor(v).view(torch.int64)), v[:: max(1, len(v) // _SAMPLE)].clone()) for v in values]


def unmoved(before: Snapshot, parameters: Sequence[nn.Parameter], steps: int) -> str | None:
    """Return the reason if no trained weight differs from what it was before the run, or None."""
    moved = any(
        old_hash != new_hash or not torch.equal(old, new)
        for (old_hash, old), (new_hash, new) in zip(before, snapshot(parameters), strict=True)
    )
    return (
        None if moved else f"no trained weight moved in {steps} steps: raise the learning rate, or train another part"
    )
