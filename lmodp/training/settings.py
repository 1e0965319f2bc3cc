"""How a model is optimised: everything of a run that no privacy statement depends on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lmodp.errors import require, require_known
from lmodp.plan import Plan
from lmodp.vocabulary import RANDOMNESS

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "linear")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Optimiser, precision and housekeeping of a run.

    Args:
        optimizer: "adamw" (decoupled decay), "adam" (decay added to the gradient) or "sgd" (no momentum).
        learning_rate: step size of the first step.
        weight_decay: applied to all trainable parameters.
        betas, adam_epsilon: of Adam.
        schedule: "constant", or "linear" decay: step t of T uses (1 - t/T) of the learning rate, t from 0.
        micro_batch_size: examples in one forward pass; memory, not privacy.
        precision: "float32", or "bfloat16" autocast with float32 weights, norms, sums and noise.
        checkpoint_every: steps between checkpoints; None for none.
        randomness: "seeded", or "entropy" for a release (see `lmodp.training.randomness`).
        evaluate_every: steps between evaluations; None for the end only.
    """

    learning_rate: float
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = 1e-8
    schedule: str = "constant"
    micro_batch_size: int = 32
    precision: str = "float32"
    checkpoint_every: int | None = None
    randomness: str = "seeded"
    evaluate_every: int | None = None

    def __post_init__(self) -> None:
        choices = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS, "randomness": RANDOMNESS}
        for name, known in choices.items():
            value = getattr(self, name)
            require_known(name, value, known, "unknown choice")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "must be above 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "must be at least 0")
        for name in ("micro_batch_size", "checkpoint_every", "evaluate_every"):
            value = getattr(self, name)
            absent = value is None and name != "micro_batch_size"
            valid = absent or (isinstance(value, int) and value >= 1)
            require(valid, name, value, "must be a whole number of at least 1")
        object.__setattr__(self, "betas", tuple(self.betas))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {**asdict(self), "betas": list(self.betas)}

    def rate_at(self, step: int, *, steps: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return self.learning_rate * (1 - step / steps if self.schedule == "linear" else 1)


@dataclass(frozen=True)
class AfterNoise:
    """What a method does with the noisy gradient, at no cost of privacy: a torch optimiser, filters included.

    ``build(parameters, settings, plan)`` returns it; ``name`` says in a few words what it is.
    """

    name: str
    build: Callable[[list[torch.nn.Parameter], TrainingSettings, Plan], torch.optim.Optimizer]


def build_optimizer(settings: TrainingSettings, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Return the torch optimiser; the fused kernels, which touch memory once."""
    shared: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, **shared)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, betas=settings.betas, eps=settings.adam_epsilon, **shared)
