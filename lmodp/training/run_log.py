"""The conformance record: what a run did, for comparison with what was certified."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from lmodp.mechanisms import DEFAULT
from lmodp.plan import Plan
from lmodp.training.noise import NoiseMeter
from lmodp.training.outcome import fault_of_examples
from lmodp.training.settings import TrainingSettings


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
