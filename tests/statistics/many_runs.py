"""Many short runs of a small model, with and without one canary, each a trial of an audit.

The worst case that a certificate allows for: all other examples have a gradient of zero.
The canary is an ordinary example whose loss is so steep that its gradient, over all layers,
is far longer than the clip norm. The adversary sees every noisy sum, hence the weights at
every step, computes the canary's clipped gradient there by plain differentiation, a path
that shares no code with the engine's clipping, and adds up log-likelihood ratios.

References:
    Nasr et al., Tight auditing of differentially private machine learning, USENIX
    Security 2023 (white box, gradient canaries, many runs).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.errors import require
from lmodp.plan import Plan
from lmodp.training.examples import TensorExamples
from lmodp.training.loop import train
from lmodp.training.losses import Loss
from lmodp.training.settings import TrainingSettings

_WEIGHT = "audit_weight"
_UNCHANGED = 1e-3  # of the clip norm


def run_scores(
    model: nn.Module,
    *,
    plan: Plan,
    canary: Mapping[str, Tensor],
    loss: Loss,
    settings: TrainingSettings,
    trials: int,
    included: bool,
    seed: int,
    steepness: float = 1e3,
    of_steps: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return the scores of ``trials`` runs of the engine, (trials, 2).

    The columns are the log-likelihood ratio and the number of steps whose noisy sum
    differs from the one before (all of them unless noise is used twice).

    Args:
        model: initial weights, the same in every run; no dropout.
        plan: ``dataset_size`` examples are stored, the canary first.
        canary: one example, tensors with a first dimension of 1.
        loss: of the model; multiplied by ``steepness`` for the canary, by 0 for all others.
        settings: of the optimiser.
        trials: runs.
        included: whether the canary is in the data; otherwise its loss too is multiplied by 0.
        seed: of the runs' seeds.
        steepness: factor of the canary's loss.
        of_steps: from a step's sum of log ratios to the step's score (Poisson sampling).
    """
    require(plan.noise is not None, "noise", None, "is needed for an audit")
    examples = _examples(plan, canary, steepness if included else 0.0)
    probe = {**canary, _WEIGHT: torch.tensor([steepness])}
    found = np.empty((trials, 2))
    for trial in range(trials):
        fresh = copy.deepcopy(model)
        watcher = _Watcher(fresh, plan, weighted(loss), probe)
        base = 4 * (seed * 2 * trials + 2 * trial + included)
        train(
            fresh,
            plan=plan,
            examples=examples,
            loss=weighted(loss),
            settings=settings,
            hooks=[watcher],
            seeds={"sampling": base, "dropout": base + 1, "noise": base + 2},
        )
        found[trial] = of_steps(np.array(watcher.sums)).sum(), watcher.changes
    return found


def weighted(loss: Loss) -> Loss:
    """Return the loss times the example's weight."""

    def steep(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        inputs = {name: value for name, value in batch.items() if name != _WEIGHT}
        return loss(model, inputs) * batch[_WEIGHT]

    return steep


def _examples(plan: Plan, canary: Mapping[str, Tensor], weight: float) -> TensorExamples:
    rows = {name: value.expand(plan.dataset_size, *value.shape[1:]) for name, value in canary.items()}
    weights = torch.zeros(plan.dataset_size)
    weights[0] = weight
    return TensorExamples({**rows, _WEIGHT: weights})


class _Watcher:
    """A step hook that turns noisy sums into log-likelihood ratios."""

    def __init__(self, model: nn.Module, plan: Plan, loss: Loss, probe: Mapping[str, Tensor]):
        self.model, self.plan, self.loss, self.probe = model, plan, loss, probe
        self.sums: list[float] = []
        self.changes, self._last = 0, None

    def before_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Add nothing: the canary comes through the sampler."""

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter], scale: float) -> None:
        """Score the noisy sum against the canary's clipped gradient at the present weights."""
        released = _flat([parameter.grad for parameter in parameters])
        shift = self._clipped_gradient(parameters)
        noise = self.plan.noise
        ratio = noise.log_density((released - shift) / scale) - noise.log_density(released / scale)
        self.sums.append(float(ratio.sum()))
        if self._last is not None:
            self.changes += float(np.abs(released - self._last).max()) > _UNCHANGED * self.plan.clip_norm
        self._last = released

    def state(self) -> dict[str, Any]:
        """Return nothing: a trial is never interrupted and taken up again."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up nothing."""

    def _clipped_gradient(self, parameters: Sequence[nn.Parameter]) -> np.ndarray:
        loss = self.loss(self.model, self.probe).sum()
        gradient = _flat(torch.autograd.grad(loss, list(parameters)))
        return gradient * min(1.0, self.plan.clip_norm / max(float(np.linalg.norm(gradient)), 1e-300))


def _flat(tensors: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([tensor.detach().flatten().double().cpu().numpy() for tensor in tensors])
