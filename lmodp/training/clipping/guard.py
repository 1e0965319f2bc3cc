"""The guard: an example's share of the sum is its own, whoever its neighbours are.

Hooks cannot see everything a model may do: a weight used outside its layer, a layer that
mixes examples, a table whose first dimension happens to be the number of examples. So some
examples that have a gradient are taken through the engine among different neighbours, in
batches of different sizes, and compared with plain backward passes over each example alone.

The model is seen as it trains, with dropout off (two masks would differ). Of the data,
nothing gets out except whether this raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lmodp.errors import Unsupported
from lmodp.training.clipping.contributions import is_wide

if TYPE_CHECKING:
    from lmodp.training.clipping.engine import ClippingEngine
    from lmodp.training.losses import Loss

ENOUGH = 3  # examples with a gradient; with that many the guard has seen batches of two and of three
MOST = 8  # examples looked at, at once
TOLERANCE = 2e-3  # of a gradient, in float32; a layer left out or counted twice is far outside
HALF_TOLERANCE = 0.1  # where a part of the model has 16 bits: two orders of addition differ by about 0.01
SILENT = 1e-6  # a shorter gradient may be rounding alone, unless the clip norm is that short too

MIXING = (
    (nn.modules.batchnorm._BatchNorm, lambda module: True),
    (nn.modules.instancenorm._InstanceNorm, lambda module: module.track_running_stats),
)


def mixing_layers(model: nn.Module) -> Iterator[str]:
    """Yield one sentence for each layer, frozen or trained, whose class mixes the examples of a batch."""
    for name, module in model.named_modules():
        if any(isinstance(module, kind) and mixes(module) for kind, mixes in MIXING):
            yield f"{name} ({type(module).__name__}) mixes the examples of a batch. Use a GroupNorm or LayerNorm."


def look(
    engine: ClippingEngine,
    loss: Loss,
    batch_of: Callable[[Sequence[int]], Mapping[str, Tensor]],
    indices: Sequence[int],
) -> bool:
    """Compare the engine's gradients of some examples with plain backward passes over each of them alone.

    ``batch_of`` returns the batch of these examples in this order, repeats allowed; at most `MOST` are looked at. The
    engine's sums are left as they are.

    Returns:
        Whether anything was compared: an example without a gradient, or whose gradient is not finite, adds nothing to a
        sum and shows nothing.

    Raises:
        Unsupported: a share differs, or the model cannot be taken through the engine.
    """
    compared = 0
    with _undisturbed(engine):
        if _all_silent(engine, loss, batch_of(list(indices)[:MOST]), min(MOST, len(indices))):
            return False
        lengths = {index: _length(_alone(engine, loss, batch_of, index)) for index in list(indices)[:MOST]}
        finite = [index for index, length in lengths.items() if length < float("inf")]  # false for nan
        shortest = min(SILENT, 1e-3 * engine.clip_norm)
        live = [index for index in finite if lengths[index] > shortest][:ENOUGH]
        groups = _arrangements([*live, *(index for index in finite if index not in live)]) if live else []
        passes = [(group, _through(engine, loss, batch_of(group), len(group))) for group in groups]
        for index in live:
            plain = _alone(engine, loss, batch_of, index)
            scale = max(lengths[index], 0.1 * max(lengths[other] for other in live))
            for group, passed in passes:
                if index in group and bool(torch.isfinite(passed.norms[group.index(index)])):
                    error = _distance(engine, passed, group.index(index), plain)
                    _require_small(engine, passed, error / scale, len(group))
                    compared += 1
    return compared > 0


def look_at_losses(
    model: nn.Module,
    losses: Callable[[Mapping[str, Tensor], int], Tensor],
    batch_of: Callable[[Sequence[int]], Mapping[str, Tensor]],
    indices: Sequence[int],
    *,
    tolerance: float,
) -> None:
    """Compare the losses of some examples together with those of each beside itself alone, dropout off.

    ``losses`` maps a batch and its size to one loss per example, without gradients; ``tolerance`` is relative to
    1 + |loss|.

    Raises:
        Unsupported: a loss depends on the other examples of the batch, or a pass changes a buffer.
    """
    indices = list(indices)[:MOST]
    with torch.no_grad(), torch.random.fork_rng(), _DropoutOff(), _buffers_kept(model):
        together = losses(batch_of(indices), len(indices))
        alone = torch.stack([losses(batch_of([index, index]), 2)[0] for index in indices])
    error = float(((together - alone).abs() / (1 + alone.abs())).nan_to_num(0).max())
    if error > tolerance:
        raise Unsupported(
            f"the loss of one example changes by {error:.2g} with the other examples of its batch, padding included, "
            f"and {tolerance:.2g} is allowed: a layer mixes them. Use a model whose losses are each example's own. If "
            "it has no such layer, rounding is too coarse: use float32, and for loss differences a larger smoothing."
        )


def _all_silent(engine: ClippingEngine, loss: Loss, batch: Mapping[str, Tensor], size: int) -> bool:
    """Whether the examples' summed gradient is exactly zero, so that nothing could be compared: one pass tells."""
    try:
        losses = engine.losses(loss, batch, size)
    except Exception:  # a model may raise anything; one example at a time tells why
        return False
    if losses.requires_grad:
        losses.sum().backward()
    silent = not any(parameter.grad is not None and parameter.grad.any() for parameter in engine.parameters)
    engine.zero_grad()
    return silent


def _arrangements(order: list[int]) -> list[list[int]]:
    """Return the batches: two examples, the other way round with a third one, and all (repeated where too few)."""
    few = (order * ENOUGH)[:ENOUGH]
    return [few[:2], few[::-1], *([order] if len(order) > ENOUGH else [])]


def _alone(engine: ClippingEngine, loss: Loss, batch_of: Any, index: int) -> list[Tensor | None]:
    """Return one example's gradient, one tensor per parameter, by a plain backward pass over it alone.

    A model that does not run on one example sees it twice; the engine then does so too.
    """
    torch.manual_seed(0)
    try:
        losses = engine.losses(loss, batch_of([index]), 1)
    except Exception as error:
        try:
            losses = engine.losses(loss, batch_of([index, index]), 2)
        except Exception:
            raise error from None
        engine.doubles = True
    if losses.requires_grad:
        losses[0].backward()
    gradient = [parameter.grad for parameter in engine.parameters]
    engine.zero_grad()
    return gradient


def _length(gradient: list[Tensor | None]) -> float:
    return math.hypot(*(_norm(value) for value in gradient if value is not None))


def _norm(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(value, dtype=torch.float64))


def _through(engine: ClippingEngine, loss: Loss, batch: Mapping[str, Tensor], size: int) -> Any:
    torch.manual_seed(0)
    try:
        return engine.passes(loss, batch, size)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise Unsupported(
            f"{type(engine.model).__name__} runs on one example, but not on {size} whose trained layers are tapped "
            f"({' '.join(str(error).split())}): a trained layer sees one row for all examples, which the model then "
            "repeats. Repeat the layer's input instead, or freeze the layer."
        ) from error


def _distance(engine: ClippingEngine, passed: Any, position: int, plain: list[Tensor | None]) -> float:
    """Return how far one example's gradient in a batch lies from the plain one, parameter by parameter."""
    only = torch.zeros_like(passed.norms)
    only[position] = 1
    total = 0.0
    for parameter, value in zip(engine.parameters, plain, strict=True):
        passed.add(parameter, only)
        found, parameter.grad = parameter.grad, None
        difference = found if value is None else -value if found is None else found - value
        total += 0.0 if difference is None else _norm(difference) ** 2
    return total**0.5


def _require_small(engine: ClippingEngine, passed: Any, error: float, size: int) -> None:
    half = passed.half or not all(is_wide(value) for value in engine.model.parameters() if value.is_floating_point())
    if not error <= (HALF_TOLERANCE if half else TOLERANCE):
        raise Unsupported(
            f"the gradient of one example changes by {error:.2g} of its length in a batch of {size}: in "
            f"{type(engine.model).__name__} a trained weight is used outside its layer, or a layer mixes the examples "
            "of a batch (padding included). Freeze the layer at fault (halve the trainable part to find it)."
        )


@contextmanager
def _undisturbed(engine: ClippingEngine) -> Iterator[None]:
    """Context: dropout off; sums and random streams are afterwards as they were."""
    sums = [parameter.grad for parameter in engine.parameters]
    engine.zero_grad()
    device = engine.parameters[0].device
    try:
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            _DropoutOff(),
            _buffers_kept(engine.model),
        ):
            yield
    finally:
        for parameter, value in zip(engine.parameters, sums, strict=True):
            parameter.grad = value


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Context that refuses a model of which a pass changes a buffer: unclipped, it would carry examples into later
    steps."""
    before = {name: value.clone() for name, value in model.named_buffers()}
    yield
    now = dict(model.named_buffers())
    changed = [name for name, value in before.items() if name in now and not _same(value, now[name])]
    if changed:
        raise Unsupported(
            f"{', '.join(changed)}: this buffer changes when the model runs, so examples reach later steps without "
            "being clipped. Use a layer without running statistics, and texts within the model's usual length."
        )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


class _DropoutOff(TorchFunctionMode):
    """Every dropout inside is the identity, also where a model calls it as a function."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(function, "__name__", ""), dict(kwargs or {})
        if "dropout" in name:
            return args[0] if args else kwargs["input"]
        if name == "multi_head_attention_forward":
            kwargs["training"] = False
        elif name == "scaled_dot_product_attention":
            args = args[:4] + (0.0,) * (len(args) > 4) + args[5:]
            kwargs |= {"dropout_p": 0.0} if len(args) <= 4 else {}
        return function(*args, **kwargs)
