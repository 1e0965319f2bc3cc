"""The seam for engines that are not the suite's own: a method that *is* another engine returns one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lmodp.plan import Plan
    from lmodp.training import Examples, TrainingResult, TrainingSettings


class Engine(Protocol):
    """What trains a method that is another engine.

    The engine receives the same plan as everybody, with its Poisson sampling rate, and answers with the same
    conformance record, so that `verify_run` can judge it. Its noise is not taken on trust:
    `lmodp.engines.foreign` asks for released sums of zero gradients and tests their law.

    Attributes:
        packages: distributions whose versions can change a result.
    """

    packages: tuple[str, ...]

    def train(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Callable[[nn.Module, Mapping[str, Any]], Tensor],
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ) -> TrainingResult:
        """Train the parameters that require gradients, in place, under a plan.

        Returns:
            A record with the fields of `lmodp.training.run_log.RunLog.record`
            (``noise_measured`` left out), filled with what the engine *did*.

        Raises:
            Unsupported: the engine cannot train this model; the reason is shown.
        """
        ...

    def probe_step(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Callable[[nn.Module, Mapping[str, Any]], Tensor],
        settings: TrainingSettings,
        seeds: Mapping[str, int],
    ) -> Tensor:
        """Return the noisy sum that one step releases, flat, before it is divided by anything.

        The suite hands over a loss whose gradients are all zero, so that the sum is
        the noise alone. The engine does what it does in training, no more, no less.
        """
        ...
