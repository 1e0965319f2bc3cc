"""The interface of other engines: a method that *is* another engine returns an `Engine`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lmodp.plan import Plan
    from lmodp.training import Examples, TrainingResult, TrainingSettings

NO_RELEASE = "another engine's noise comes from seeds that records tell. Use the suite's own engine."


class Engine(Protocol):
    """Another engine that trains instead of the suite's own.

    The engine receives the same plan as every method, with the Poisson sampling rate, and returns the same
    conformance record, so that `verify_run` can judge it. The suite also tests its noise:
    `lmodp.engines.foreign` requests released sums of zero gradients and tests their law.

    Attributes:
        packages: the packages whose versions can change a result.
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

        Before the run the suite also trains copies for one step with next to no noise, with
        and without the examples' gradients: the weights must move in two ways.

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
        """Return the noisy sum that one step releases, as a flat vector, before any division.

        The suite passes a loss whose gradients are all zero, so the sum is pure noise.
        The engine must do exactly what it does in training.
        """
        ...
