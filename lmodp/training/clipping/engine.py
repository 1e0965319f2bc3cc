"""Clipped sums of per-example gradients from one forward and one backward pass.

`ClippingEngine.accumulate` is ghost clipping in its one-pass form, book-keeping
(Bu et al. 2023); the README in this folder explains it on one page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmodp.errors import InvalidValue, Unsupported, require
from lmodp.training.clipping.contributions import is_wide
from lmodp.training.clipping.guard import ENOUGH, look, mixing_layers
from lmodp.training.clipping.norms import joint_squared_norms
from lmodp.training.clipping.recording import Recorded, recording, tapped_layers
from lmodp.training.clipping.weighted import WeightedSums
from lmodp.training.losses import Loss, explained

AUTOMATIC_OFFSET = 0.01  # gamma of Bu et al. 2022, equation 3: keeps the factor finite at norm 0


@dataclass(frozen=True)
class ClippedBatch:
    """What a micro-batch of B examples yielded beside its clipped sum, each (B,).

    ``norms`` before clipping, ``factors`` as applied (0 where not finite).
    """

    losses: Tensor
    norms: Tensor
    factors: Tensor

    @property
    def non_finite(self) -> int:
        """Number of examples whose gradient was not finite and was left out."""
        return int((~torch.isfinite(self.norms)).sum())

    @property
    def silent(self) -> int:
        """Number of examples that added nothing: their gradient was zero or not finite."""
        return int((~torch.isfinite(self.norms) | (self.norms == 0)).sum())

    @property
    def clipped(self) -> int:
        """Number of examples whose gradient was shortened (or left out)."""
        return int((self.factors < 1).sum())


def clip_factors(norms: Tensor, *, clip_norm: float, clipping: str) -> Tensor:
    """Return the factor of each example's gradient from L2 norms (B,) before clipping, C being ``clip_norm`` > 0.

    flat: min(1, C / norm). automatic: C / (norm + 0.01). none: 1.

    Guarantees:
        Every gradient times its factor has an L2 norm of at most ``clip_norm`` (automatic: strictly less), so adding or
        removing one example moves the sum by at most ``clip_norm``; this is the sensitivity of both rules.

    Edge cases:
        =====================  ==================================================
        norm 0                 flat 1, automatic C/0.01; the product is 0 in both
        norm inf or nan        0, the example contributes nothing
        clip_norm inf, none    1 (not private)
        =====================  ==================================================

    References:
        Abadi et al. (2016); Bu et al. (2022), arXiv:2206.07136, equation 3.
    """
    if clipping == "automatic":
        factors = clip_norm / (norms + AUTOMATIC_OFFSET)
    elif clipping == "flat":
        factors = (clip_norm / norms).clamp_max(1)
    else:
        require(clipping == "none", "clipping", clipping, "must be flat, automatic or none")
        factors = torch.ones_like(norms)
    return torch.where(torch.isfinite(norms), factors, 0.0)


class GradientSums:
    """The trained parameters of a model and the sums in their ``.grad``."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.parameters = [value for value in model.parameters() if value.requires_grad]

    def zero_grad(self) -> None:
        """Forget the sums; their memory is released."""
        for parameter in self.parameters:
            parameter.grad = None

    def fill_missing(self) -> None:
        """Give parameters that no example reached a zero gradient."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def losses(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> Tensor:
        """Return one loss per example, (B,); raise `InvalidValue` if the loss function returned something else."""
        with explained(self.model, batch):
            losses = loss(self.model, batch)
        if losses.dim() == 0 and batch_size == 1:  # a model may drop the first dimension of a single example
            losses = losses[None]
        if losses.shape != (batch_size,):
            raise InvalidValue(
                f"loss = shape {tuple(losses.shape)}: must be one loss an example, "
                f"shape ({batch_size},). Use reduction='none' and average per example."
            )
        return losses


@dataclass(frozen=True)
class Passes:
    """What one forward and one backward pass over B examples left: losses and norms (B,), and the contributions."""

    losses: Tensor
    norms: Tensor
    recorded: Recorded

    def add(self, parameter: nn.Parameter, factors: Tensor) -> None:
        """Add the factors' (B,) weighted sum of gradients to one parameter's ``.grad``; contributions are kept."""
        sums = WeightedSums(factors, factors != 0)
        self.recorded.vectors.add_weighted_sums(sums.factors, sums.keep, only=parameter)
        for part in self.recorded.parts.get(parameter, ()):
            sums.add(part, parameter)

    @property
    def half(self) -> bool:
        """Whether a layer's gradient had 16 bits."""
        return any(dtype.itemsize < 4 for dtype in self.recorded.dtypes)


class ClippingEngine(GradientSums):
    """Adds clipped sums of per-example gradients to the parameters' ``.grad``.

    Guarantees:
        * After `accumulate`, ``.grad`` of every trainable parameter has grown by ``sum_b factors_b * gradient_b``, the
          gradient being that of example b's loss with respect to all trainable parameters together (one joint norm).
        * An example's share depends on that example alone. The first micro-batches are
          looked at (`guard`) until examples with a gradient have been seen.
        * Factors and sums have 32 bits at least.

    Edge cases:
        ==========================  ============================================
        empty micro-batch           nothing is added
        runs on two examples only   a single one is doubled, its copy has factor 0
        gradient not finite         left out and counted, the others unharmed
        parameter not used          receives a zero gradient
        tied or reused parameter    one gradient, cross terms included
        ==========================  ============================================

    Args:
        model: its trainable parameters are those that require gradients now.
        clip_norm: C; ``inf`` only with ``clipping`` "none".
        clipping: see `clip_factors`.

    Raises:
        Unsupported: a trainable layer has no rule, a trained parameter has 16 bits, or a
            layer mixes examples by its class; raised here, before training.
    """

    doubles = False  # whether the model does not run on a single example; the guard finds out

    def __init__(self, model: nn.Module, *, clip_norm: float, clipping: str):
        super().__init__(model)
        self.clip_norm, self.clipping = clip_norm, clipping
        require_wide(model)
        self.layers = tapped_layers(model)
        mixing = list(mixing_layers(model))
        if mixing:
            raise Unsupported("per-example clipping does not cover this model:\n  " + "\n  ".join(mixing))
        self._seen = {True: 0, False: 0}  # examples that passed the guard together, in training mode and out of it
        for value in self.parameters:  # torch's fused optimisers misread a gradient of another layout
            value.data = value.data.contiguous()

    def accumulate(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> ClippedBatch:
        """Add one micro-batch's clipped sum to ``.grad``; the loss is one per example, of that example alone."""
        if batch_size == 0:
            return nothing_drawn()
        rows = rows_of(batch, batch_size)
        self.check(loss, rows, range(batch_size))
        twice = self.doubles and batch_size == 1
        passed = self.passes(loss, rows_of(batch, 1)([0, 0]) if twice else batch, 2 if twice else batch_size)
        if not self._has_seen(batch_size):  # the first examples had no gradient; the longest ones may have
            lengths = passed.norms[:batch_size].nan_to_num(0, 0)
            self.check(loss, rows, lengths.argsort(descending=True).tolist() if bool(lengths.any()) else ())
        factors = clip_factors(passed.norms, clip_norm=self.clip_norm, clipping=self.clipping)
        usable = torch.isfinite(passed.norms)
        usable[batch_size:] = False
        sums = WeightedSums(factors, usable)
        passed.recorded.vectors.add_weighted_sums(sums.factors, sums.keep)
        for parameter, part in passed.recorded.take_parts():
            sums.add(part, parameter)
        return ClippedBatch(passed.losses[:batch_size], passed.norms[:batch_size], factors[:batch_size])

    def passes(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> Passes:
        """Return losses, norms and contributions of one forward and one backward pass over B examples."""
        with recording(self.layers, batch_size) as recorded:
            losses = self.losses(loss, batch, batch_size)
            if losses.requires_grad:  # else no trained layer took part
                losses.sum().backward()  # each layer's rule leaves its contributions in `recorded`
            losses = losses.detach()
        squared = joint_squared_norms(recorded.parts.values(), recorded.vectors)
        norms = torch.zeros_like(losses) if squared is None else squared.clamp_min(0).sqrt()
        return Passes(losses, norms, recorded)

    def check(
        self, loss: Loss, batch_of: Callable[[Sequence[int]], Mapping[str, Tensor]], indices: Sequence[int]
    ) -> bool:
        """Let the guard look at some examples, unless it has seen enough; return whether it has. See `guard.look`."""
        if not self._has_seen(len(indices)) and self.parameters and look(self, loss, batch_of, indices):
            self._seen[self.model.training] = min(len(indices), ENOUGH)
        return self._has_seen(len(indices))

    def _has_seen(self, size: int) -> bool:
        return self._seen[self.model.training] >= min(size, ENOUGH)


class PlainEngine(GradientSums):
    """The non-private counterpart: adds sums of gradients by one ordinary backward pass.

    An example whose loss is not finite is counted, not left out: a plain backward pass cannot separate the examples.
    """

    def accumulate(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> ClippedBatch:
        """Add one micro-batch's gradient sum to ``.grad``.

        In the answer the losses stand in for the norms, which are not known: they say which examples are not finite.
        """
        if batch_size == 0:
            return nothing_drawn()
        losses = self.losses(loss, batch, batch_size)
        losses.sum().backward()
        losses = losses.detach()
        return ClippedBatch(losses, losses, torch.ones_like(losses))


def nothing_drawn() -> ClippedBatch:
    """Return the answer for a micro-batch without examples."""
    empty = torch.zeros(0)
    return ClippedBatch(empty, empty, empty)


def rows_of(batch: Mapping[str, Tensor], batch_size: int) -> Callable[[Sequence[int]], Mapping[str, Tensor]]:
    """Return a function that gives the examples with these numbers of a batch; what all share stays."""
    return lambda rows: {
        name: value[list(rows)] if value.dim() and len(value) == batch_size else value for name, value in batch.items()
    }


def require_wide(model: nn.Module) -> None:
    """Raise `Unsupported` if a trained parameter has 16 bits: its sums and its noise would have 16 bits too."""
    narrow = [name for name, value in model.named_parameters() if value.requires_grad and not is_wide(value)]
    if narrow:
        dtype = model.get_parameter(narrow[0]).dtype
        raise Unsupported(
            f"{len(narrow)} trained parameters are {dtype} ({narrow[0]} among them): sums of gradients need 32 bits. "
            "Keep what is trained in float32, as set_trainable does, or call model.float(); what is frozen may have 16."
        )
