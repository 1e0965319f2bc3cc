"""Opacus end to end: its per-example gradients, clipping, noise and Poisson sampler.

This module assembles Opacus's parts itself instead of calling ``PrivacyEngine.make_private``. The latter uses the
sampling rate 1 / len(data_loader): with 7,568 examples and batches of 1,024 that is 1/8, but the plan says 0.1353.

References:
    Yousefpour et al. 2021, arXiv 2109.12298.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.grad_sample.grad_sample_module import promote_current_grad_sample
from opacus.optimizers import DPOptimizer
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertPooler

from lmodp.engines.packaged import PackageEngine, PackageRun
from lmodp.errors import Unsupported
from lmodp.training.settings import build_optimizer


class OpacusRun(PackageRun):
    """Opacus's parts for one run."""

    title = "Opacus"

    def assemble(self, model: nn.Module, noise_multiplier: float) -> nn.Module:
        """Wrap the model, and make Opacus's optimizer and sampler."""
        model.train()
        # Not strict: otherwise Opacus refuses buffers such as position numbers, which have no gradient.
        wrapped = GradSampleModule(model, loss_reduction="mean", strict=False)
        self.optimizer = DPOptimizer(
            build_optimizer(self.settings, self.parameters),
            noise_multiplier=noise_multiplier,
            max_grad_norm=self.plan.clip_norm,
            expected_batch_size=self.plan.expected_batch_size,
            generator=torch.Generator(self.device).manual_seed(self.seeds["noise"]),
        )
        self.sampler = UniformWithReplacementSampler(
            num_samples=self.plan.dataset_size,
            sample_rate=self.plan.sampling_rate,
            steps=self.plan.steps,
            generator=torch.Generator().manual_seed(self.seeds["sampling"]),
        )
        self.batches = iter(self.sampler)
        torch.manual_seed(self.seeds["dropout"])
        return wrapped

    def detach(self) -> None:
        """Unwrap the model."""
        self.called.remove_hooks()
        for parameter in self.parameters:
            del parameter.grad_sample, parameter.summed_grad

    def draw(self, step: int) -> np.ndarray:
        """Return what Opacus's sampler draws next."""
        return np.array(next(self.batches), dtype=np.int64)

    def add_up(self, pieces: list[np.ndarray]) -> Iterator[float]:
        """Sum all micro-batches except the last, which the optimizer's own step adds."""
        self.optimizer.zero_grad()
        for number, piece in enumerate(pieces):
            yield self._backward(piece)
            if number + 1 < len(pieces):  # as Opacus's own BatchMemoryManager does
                self.optimizer.signal_skip_step(do_skip=True)
                self.optimizer.step()
                self.optimizer.zero_grad()
        if not pieces:
            for parameter in self.parameters:
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))

    def _backward(self, piece: np.ndarray) -> float:
        losses = self.losses(piece)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*non-full backward hook.*|.*Full backward hook.*")
            losses.mean().backward()
        self._forget_unused_pooler()
        self._require_per_example(len(piece))
        return float(losses.detach().sum())

    def _forget_unused_pooler(self) -> None:
        """BERT's own forward pass runs its pooler on the first token without need; the head runs the pooler again.

        Opacus waits for a gradient of the first call, which never comes. It matches gradients to calls in reverse
        order, so the gradient that it has is the head's, and it is complete.
        """
        for module in self.called.modules():
            if isinstance(module, BertPooler) and getattr(module.dense, "activations", None):
                dense: Any = module.dense  # Opacus has put attributes of its own on it and on its parameters
                dense.activations.clear()
                del dense.max_batch_len
                for parameter in dense.parameters():
                    if parameter.requires_grad:
                        parameter._forward_counter = 0
                        promote_current_grad_sample(parameter)

    def _require_per_example(self, size: int) -> None:
        """Raise an error if gradients are not per example: clipping them would not bound the sensitivity."""
        for parameter in self.parameters:
            found = getattr(parameter, "grad_sample", None)
            if not isinstance(found, Tensor) or len(found) != size:
                name = next(key for key, value in self.called.named_parameters() if value is parameter)
                seen = "none" if found is None else f"{len(found)} for {size} examples"
                raise Unsupported(f"Opacus has no per-example gradients of {name.removeprefix('_module.')} ({seen})")

    def release(self) -> Tensor:
        """Return the noisy sum, flat."""
        self.optimizer.pre_step()
        return torch.cat([value.grad.flatten() for value in self.parameters]) * self.optimizer.expected_batch_size

    def used(self) -> dict[str, Any]:
        """Return what Opacus used."""
        return {
            "sampling_rate": self.sampler.sample_rate,
            "dataset_size": self.sampler.num_samples,
            "divisor": self.optimizer.expected_batch_size,
            "clip_norm": self.optimizer.max_grad_norm,
            "noise_multiplier": self.optimizer.noise_multiplier,
        }


class OpacusEngine(PackageEngine):
    """Opacus as an engine."""

    packages: tuple[str, ...] = ("opacus",)
    run = OpacusRun
