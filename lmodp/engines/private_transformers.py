"""private-transformers: its ghost clipping (two backward passes) and its noise, with the suite's Poisson samples.

The package has no sampler. It takes the batches of a data loader (shuffled ones in its examples), but its accountant
assumes Poisson sampling. Here it receives the suite's Poisson samples.

References:
    Li et al. 2022, arXiv 2110.05679.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from private_transformers import PrivacyEngine
from torch import Tensor, nn

from lmodp.engines.packaged import PackageEngine, PackageRun
from lmodp.errors import Unsupported
from lmodp.training import PoissonSampler
from lmodp.training.randomness import stream_key
from lmodp.training.settings import build_optimizer


class _Whole(nn.Module):
    """Hides a model's class; the package would replace its forward pass by that of an older transformers version."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Tensor:
        """Call the model."""
        return self.model(**inputs)


class PrivateTransformersRun(PackageRun):
    """The package's engine for one run."""

    title = "private-transformers"

    def assemble(self, model: nn.Module, noise_multiplier: float) -> nn.Module:
        """Attach the package's engine to an optimizer of the model."""
        _refuse_tied(model)
        whole, plan = _Whole(model).train(), self.plan
        self.engine = PrivacyEngine(
            whole,
            batch_size=plan.expected_batch_size,
            sample_size=plan.dataset_size,
            epochs=plan.steps * plan.sampling_rate,
            max_grad_norm=plan.clip_norm,
            noise_multiplier=noise_multiplier,
            target_delta=plan.delta,
            clipping_mode="ghost",
            record_snr=False,
            skip_checks=True,  # the package knows its own list of classes only, and would refuse the wrapper
        )
        self.optimizer = build_optimizer(self.settings, self.parameters)
        self.engine.attach(self.optimizer)
        self.sampler = PoissonSampler(plan=plan, key=stream_key(self.seeds["sampling"], randomness="seeded"))
        torch.manual_seed(self.seeds["noise"])  # the package draws noise and dropout from the global generator
        return whole

    def detach(self) -> None:
        """Detach the engine from the optimizer and the model."""
        self.engine.detach()

    def draw(self, step: int) -> np.ndarray:
        """Return the suite's Poisson sample."""
        return self.sampler.draw(step)

    def add_up(self, pieces: list[np.ndarray]) -> Iterator[float]:
        """Sum all micro-batches except the last, whose losses the step takes."""
        # The package cannot take a step without examples; one example with gradient zero adds nothing.
        self.last = self.losses(pieces[0]) if pieces else 0.0 * self.losses(np.array([0]))
        yield float(self.last.detach().sum())
        for piece in pieces[1:]:
            self.optimizer.virtual_step(loss=self.last)
            self.last = self.losses(piece)
            yield float(self.last.detach().sum())

    def step(self) -> None:
        """Move the weights by the sum and its noise."""
        self.optimizer.step(loss=self.last)

    def release(self) -> Tensor:
        """Return the noisy sum, flat."""
        self.engine.step(loss=self.last)
        return torch.cat([value.grad.flatten() for _, value in self.engine.named_params]) * self.engine.batch_size

    def used(self) -> dict[str, Any]:
        """Return what the package used."""
        return {
            "sampling_rate": self.engine.sample_rate,
            "dataset_size": self.engine.sample_size,
            "divisor": self.engine.batch_size,
            "clip_norm": self.engine.max_grad_norm,
            "noise_multiplier": self.engine.noise_multiplier,
        }


class PrivateTransformersEngine(PackageEngine):
    """private-transformers as an engine."""

    packages: tuple[str, ...] = ("private-transformers", "ml-swissknife")
    run = PrivateTransformersRun


def _refuse_tied(model: nn.Module) -> None:
    uses: dict[nn.Parameter, list[str]] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        if value.requires_grad:
            uses.setdefault(value, []).append(name)
    tied = next((names for names in uses.values() if len(names) > 1), None)
    if tied:
        raise Unsupported(f"private-transformers forgets the cross terms of tied parameters ({', '.join(tied)})")
