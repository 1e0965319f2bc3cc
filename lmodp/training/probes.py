"""Inputs that examine a run: canaries, samples for audits, and steps whose gradients are all zero.

**Canaries** are examples whose clipped gradient is known and lies in a direction of its own. The model gets one weight
more per canary, an embedding of width 1 that the real examples do not touch. A canary's loss is that weight times a
constant, so its gradient is zero in all other weights and far longer than the clip norm: after clipping it has length
C. Canaries are examples like any other. The engine's sampler draws them, its clipping shortens them, and they go
through its sums, noise and division; all of these are tested. An absent canary keeps its place in the data with a
gradient of zero, which is the same as not being there: neither the sum nor the constant divisor depends on it.

**Samples** are transcripts drawn coordinate by coordinate by the device's own sampler, as a run releases them in the
canary's coordinates; so they test the sampler, its table and its random bits. They are reduced to scores as they are
drawn; the scores go to `lmodp.auditing`, which does not use torch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.mechanisms import Noise
from lmodp.plan import Plan
from lmodp.training.examples import Examples, arranged
from lmodp.training.losses import Loss
from lmodp.training.noise import draw
from lmodp.training.randomness import device_generator, sampling_generator, stream_key
from lmodp.training.settings import TrainingSettings
from lmodp.training.step import PrivateStep, StepHook
from lmodp.vocabulary import PURPOSES_OF_STEPS

_BLOCK = 1 << 22  # numbers drawn at once, so that the sampler's table is rarely made
STEEPNESS = 100.0  # a canary's gradient before clipping, in clip norms
_SLOT, _OWN, _DATA = "canary_slot", "canary_weight", "data_weight"


class CanaryModel(nn.Module):
    """A model and, after its own parameters, one weight per canary; so its own get the same noise as without them."""

    def __init__(self, model: nn.Module, canaries: int):
        super().__init__()
        self.model = model
        self.canaries = nn.Embedding(canaries, 1, device=next(model.parameters()).device)
        nn.init.zeros_(self.canaries.weight)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model returns."""
        return self.model(*args, **kwargs)


class CanaryExamples:
    """N real examples followed by m canaries; ``coins`` (m,) is True where the canary is in the data."""

    def __init__(self, examples: Examples, coins: np.ndarray):
        self.examples, self.coins = examples, np.asarray(coins, dtype=bool)

    def __len__(self) -> int:
        return len(self.examples) + len(self.coins)

    def arrange(self, indices: np.ndarray) -> np.ndarray:
        """Return the real examples in the order they prefer, then the canaries."""
        real = indices < len(self.examples)
        return np.concatenate([arranged(self.examples, indices[real]), indices[~real]])

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return the real examples' tensors and what `canary_loss` needs; a canary's own tensors are example 0's."""
        slot = np.asarray(indices) - len(self.examples)
        canary = slot >= 0
        batch = dict(self.examples.batch(np.where(canary, 0, indices)))
        device = next(iter(batch.values())).device
        slot = np.maximum(slot, 0)
        own = (canary & self.coins[slot]).astype(np.float32)
        batch[_SLOT] = torch.from_numpy(slot)[:, None].to(device)
        batch[_OWN] = torch.from_numpy(own).to(device)
        batch[_DATA] = torch.from_numpy((~canary).astype(np.float32)).to(device)
        return batch


def canary_loss(loss: Loss, *, clip_norm: float) -> Loss:
    """Return the loss of a `CanaryModel`: ``loss`` for a real example, a multiple of its own weight for a canary."""

    def wrapped(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        inputs = {name: value for name, value in batch.items() if name not in (_SLOT, _OWN, _DATA)}
        own = model.canaries(batch[_SLOT]).flatten() * (batch[_OWN] * (STEEPNESS * clip_norm))
        return loss(model.model, inputs) * batch[_DATA] + own

    return wrapped


class ReleaseRecorder(StepHook):
    """A step hook that keeps the noisy sums in the canaries' directions, and only reads."""

    def __init__(self, model: CanaryModel):
        self.weight = model.canaries.weight
        self._steps: list[np.ndarray] = []

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter], scale: float) -> None:
        """Keep what the step releases."""
        assert self.weight.grad is not None
        self._steps.append(self.weight.grad.detach().flatten().cpu().numpy().astype(np.float64) / scale)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"released": [torch.from_numpy(values) for values in self._steps]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""
        self._steps = [values.numpy() for values in state["released"]]

    @property
    def released(self) -> np.ndarray:
        """Noisy sums, (T, m), in units of the noise scale."""
        return np.stack(self._steps)


def draw_scores(
    noise: Noise,
    *,
    shift: float,
    coordinates: int,
    sampling_rate: float,
    steps: int,
    trials: int,
    included: bool,
    key: str,
    of_coordinates: Callable[[np.ndarray], np.ndarray],
    of_steps: Callable[[np.ndarray], np.ndarray],
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Return the scores (trials,) of transcripts, each of ``steps`` Poisson-sampled noisy sums.

    In a step that draws the canary, it adds ``shift`` to each of M coordinates. ``of_coordinates`` maps a step's
    released values (n, M), float32, to scores (n,), and ``of_steps`` these to what is added up over the steps.
    """
    found = np.zeros(trials)
    size = max(1, _BLOCK // (coordinates * steps))
    world = "included" if included else "excluded"
    for block, start in enumerate(range(0, trials, size)):
        part = found[start : start + size]
        generator = device_generator(key, f"audit {world}", block, device)
        coins = sampling_generator(f"{key} {world}", block).random((steps, len(part), 1)) < (
            sampling_rate if included else 0.0
        )
        noises = draw(noise, (steps, len(part), coordinates), generator, device).cpu().numpy()
        for values, coin in zip(noises, coins, strict=True):
            part += of_steps(of_coordinates(values + shift * coin.astype(np.float32)))
    return found


def probe_step(
    model: nn.Module,
    *,
    plan: Plan,
    examples: Examples,
    loss: Loss,
    settings: TrainingSettings,
    seeds: Mapping[str, int],
    step: int = 0,
) -> np.ndarray:
    """Return the noisy sum that one step releases when every gradient is zero: float32 (d), in the parameters' order.

    The step is the engine's own, sampling and clipping included; only the losses are multiplied by 0. The result must
    follow the law of the plan's noise times its scale.
    """
    keys = {name: stream_key(seeds[name], randomness=settings.randomness) for name in PURPOSES_OF_STEPS}
    run: dict[str, Any] = {"plan": plan, "examples": examples, "settings": settings, "keys": keys}
    private = PrivateStep(model, loss=lambda model, batch: 0.0 * loss(model, batch), **run)
    private.sum_clipped(step)
    private.add_noise(step)
    sums = [parameter.grad for parameter in private.released if parameter.grad is not None]
    released = torch.cat([total.reshape(-1) for total in sums]).cpu().numpy()
    for parameter in model.parameters():
        parameter.grad = None
    return released
