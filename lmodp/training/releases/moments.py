"""What a step of least squares sums up: second moments of a head's input, and their products with the labels."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.plan import Plan
from lmodp.training.clipping.engine import ClippedBatch, GradientSums
from lmodp.training.clipping.guard import HALF_TOLERANCE, MOST, TOLERANCE, look_at_losses, mixing_layers
from lmodp.training.examples import Examples, unlike
from lmodp.training.losses import Loss, in_precision
from lmodp.training.releases.sums import Batches, ClippedSums
from lmodp.training.settings import TrainingSettings

_LINEAR = 1e-3  # so far tanh is the identity, to a millionth of its argument


class MomentSums(ClippedSums):
    """Sums of `lmodp.mechanisms.releases.Moments`, by one forward pass and no backward pass.

    The moments of all steps are added up, and every step writes the ridge regression on them into the head. The ridge
    is the spectral norm that the noise in the second moments has by its own law; directions of negative moment are
    taken as empty. Neither looks at the data again. The optimiser is not used.

    Raises:
        Unsupported: the trained part is no head of one linear layer, or of two with a tanh between them; a loss depends
            on the other examples of a batch; or nothing is clipped.
    """

    def __init__(
        self, model: nn.Module, *, plan: Plan, examples: Examples, loss: Loss, settings: TrainingSettings, key: str
    ):
        if mixing := [*mixing_layers(model), *(["clipping 'none' bounds nothing."] if plan.clipping == "none" else [])]:
            raise Unsupported("moments have no bound per example:\n  " + "\n  ".join(mixing))
        self.loss, self.plain = in_precision(loss, settings.precision), GradientSums(model)
        look_at_losses(
            model,
            partial(self.plain.losses, self.loss),
            lambda rows: examples.batch(np.array(rows)),
            unlike(examples, MOST).tolist(),
            tolerance=TOLERANCE if settings.precision == "float32" else HALF_TOLERANCE,
        )
        self.parameters, self.plan, self.noise = self.plain.parameters, plan, 0.0
        self.step, self.clip_norm = 0, plan.clip_norm  # those of the sums in `released`
        if plan.noise is not None:
            self.noise = plan.noise.std * plan.effective_noise_scale
        self.layers = [each for each in model.modules() if isinstance(each, nn.Linear) and each.weight.requires_grad]
        values = {value for layer in self.layers for value in layer.parameters()}
        constants = {each.bias is not None for each in self.layers}
        if values != set(self.parameters) or len(self.layers) > 2 or len(constants) != 1:
            raise Unsupported("least squares writes a head of one linear layer, or of two: train the part 'head'")
        self.constant = int(constants.pop())  # whether a constant stands beside the features
        self.width, self.classes = self.layers[0].in_features + self.constant, self.layers[-1].out_features
        device = self.parameters[0].device
        self.pairs = torch.triu_indices(self.width, self.width, device=device)
        self.weights = torch.where(self.pairs[0] == self.pairs[1], 1.0, math.sqrt(2))
        size = self.pairs.shape[1] + self.width * self.classes
        self.released = [nn.Parameter(torch.zeros(size, device=device))]
        self.total, self.steps = torch.zeros(size, dtype=torch.float64, device=device), 0.0

    @torch.no_grad()
    def add_up(self, batches: Batches, *, step: int, clip_norm: float) -> list[ClippedBatch]:
        """Leave the sum of the examples' vectors in ``released``; report on each micro-batch."""
        self.step, self.clip_norm = step, clip_norm
        total, reports = torch.zeros_like(self.released[0]), []
        for batch, size in batches:
            seen: list[Tensor] = []
            handle = self.layers[0].register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
            losses = self.plain.losses(self.loss, batch, size)
            handle.remove()
            features = nn.functional.pad(seen[0].reshape(size, -1).float(), (0, self.constant), value=1.0)
            features = features / torch.linalg.vector_norm(features, dim=1, keepdim=True)
            usable = torch.isfinite(features).all(1)
            features = torch.where(usable[:, None], features, 0.0)
            labels = nn.functional.one_hot(batch["labels"], self.classes).float()
            second = (features.T @ features)[self.pairs[0], self.pairs[1]] * self.weights
            total += clip_norm / math.sqrt(2) * torch.cat([second, (features.T @ labels).flatten()])
            norms = torch.where(usable, clip_norm, math.inf)
            reports.append(ClippedBatch(losses, norms, usable.float()))
        self.released[0].grad = total
        return reports

    def divide(self, divisor: float) -> None:
        """Add the step's noisy sums to those before."""
        assert self.released[0].grad is not None
        self.total += self.released[0].grad.double() * math.sqrt(2) / (self.clip_norm * divisor)
        factor = self.plan.releases.schedule.at("noise", self.step) * self.plan.expected_batch_size / divisor
        self.steps += factor**2  # as many steps of the plan's own noise and batch size add as much noise

    @torch.no_grad()
    def apply(self, optimizer: torch.optim.Optimizer) -> None:
        """Write the ridge regression into the head."""
        second, products = self.total.split([self.pairs.shape[1], self.width * self.classes])
        matrix = torch.zeros(self.width, self.width, dtype=torch.float64, device=second.device)
        matrix[self.pairs[0], self.pairs[1]] = second / self.weights
        values, vectors = torch.linalg.eigh(matrix, UPLO="U")
        relative = self.noise / (self.plan.clip_norm * self.plan.expected_batch_size)
        noise = math.sqrt(2 * self.steps) * relative  # of a diagonal entry
        ridge = max(noise * math.sqrt(2 * self.width), 1e-9)
        found = vectors @ ((vectors.T @ products.view(self.width, -1)) / (values.clamp_min(0) + ridge)[:, None])
        self._write(found.T.float())

    def _write(self, scores: Tensor) -> None:
        """Make the head compute scores (classes, width) less the share of a class."""
        first, last = self.layers[0], self.layers[-1]
        for parameter in self.parameters:
            parameter.zero_()
        if first is not last:
            scores = _LINEAR * scores
            last.weight[:, : self.classes] = torch.eye(self.classes, device=scores.device) / _LINEAR
        first.weight[: self.classes] = scores[:, : first.in_features]
        if self.constant:  # else the share of a class stays: it is the same for all
            first.bias[: self.classes] = scores[:, -1]
            last.bias.sub_(1 / self.classes)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"total": self.total, "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""
        self.total, self.steps = state["total"].to(self.total.device), state["steps"]
