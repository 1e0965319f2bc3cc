"""Book-keeping of one forward and one backward pass: inputs on the way up, gradients on the way down.

While recording, the trained parameters do not require gradients, so the backward pass computes gradients of activations
only. A tap behind each trained layer receives the gradient of that layer's output.

    layer(x) ──> tap ──> rest of the network ──> summed loss
                  │ forward: keeps x if the layer's rule needs it
                  │ backward: rule(x, gradient) -> contributions, kept until the clip factors are known
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lmodp.errors import Unsupported
from lmodp.training.clipping.contributions import Contribution, Explicit, live_positions
from lmodp.training.clipping.rules import RULES, LayerRule, full_name, recognised_norm, rule_for
from lmodp.training.clipping.weighted import VectorBank


@dataclass(frozen=True, eq=False)
class TappedLayer:
    """A module with trained parameters, its rule and the parameters it trains, by name.

    ``inside``: the module is a kind of embedding that computes more than a look-up (an offset, a
    scale). It is tapped behind the look-up itself, `torch.nn.functional.embedding`.
    """

    name: str
    module: nn.Module
    rule: LayerRule
    parameters: dict[str, nn.Parameter]
    inside: bool = False


@dataclass(frozen=True)
class Recorded:
    """What the passes over one micro-batch of ``batch_size`` examples left behind.

    ``vectors`` holds the gradients of one-dimensional parameters, ``parts`` the contributions to all others, both in
    the order of the backward pass; ``dtypes`` are those of the output gradients.
    """

    batch_size: int
    vectors: VectorBank
    parts: dict[nn.Parameter, list[Contribution]] = field(default_factory=dict)
    dtypes: set[torch.dtype] = field(default_factory=set)

    def add(self, parameter: nn.Parameter, part: Contribution) -> None:
        """Keep one contribution; a parameter used several times has several."""
        if isinstance(part, Explicit) and self.vectors.holds(parameter):
            self.vectors.add(parameter, part.value)
        else:
            self.parts.setdefault(parameter, []).append(part)

    def take_parts(self) -> Iterator[tuple[nn.Parameter, Contribution]]:
        """Yield every contribution in ``parts`` and let go of it, so that its memory is free once it has been used.

        Parameters used several times come last: theirs are the largest gradients.
        """
        for parameter in sorted(self.parts, key=lambda parameter: len(self.parts[parameter]) > 1):
            uses = deque(self.parts.pop(parameter))
            while uses:
                yield parameter, uses.popleft()


class Tap(torch.autograd.Function):
    """Identity on a layer's output whose backward pass turns the output's gradient into contributions.

    ``anchor`` requires a gradient and receives none; because of it autograd visits the tap although no parameter does.
    """

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, anchor: Tensor, inputs: Tensor | None, layer: TappedLayer, recorded: Recorded
    ) -> Tensor:
        """Keep the layer's input, (B, T, ...) or None, and pass its output on."""
        ctx.layer, ctx.recorded = layer, recorded
        ctx.save_for_backward(inputs)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        """Record the layer's contributions and pass its output gradient, (B, ..., p), on."""
        layer: TappedLayer = ctx.layer
        ctx.recorded.dtypes.add(grad.dtype)
        inputs, live_grad = live_positions(ctx.saved_tensors[0], as_positions(grad, ctx.recorded.batch_size))
        parts = layer.rule.contributions(layer.module, inputs, live_grad, frozenset(layer.parameters))
        for name, part in parts.items():
            ctx.recorded.add(layer.parameters[name], part)
        return (grad if ctx.needs_input_grad[0] else None), None, None, None, None


@contextmanager
def recording(layers: list[TappedLayer], batch_size: int) -> Iterator[Recorded]:
    """Record the passes made inside the block.

    Both the forward and the backward pass belong inside. On leaving, the taps are
    gone and the parameters require gradients again, also after an error.
    """
    parameters = {parameter: None for layer in layers for parameter in layer.parameters.values()}
    recorded = Recorded(batch_size, VectorBank(parameters, batch_size))
    anchor = torch.zeros((), requires_grad=True)
    outside = [layer for layer in layers if not layer.inside]
    tables = {layer.parameters["weight"]: _tap(layer, recorded, anchor) for layer in layers if layer.inside}
    handles = [layer.module.register_forward_hook(_tap(layer, recorded, anchor), with_kwargs=True) for layer in outside]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        with _LookUps(tables) if tables else nullcontext():
            yield recorded
    finally:
        for handle in handles:
            handle.remove()
        for parameter in parameters:
            parameter.requires_grad_(True)


class _LookUps(TorchFunctionMode):
    """Puts a tap behind every look-up in one of these tables, wherever it is called."""

    def __init__(self, taps: dict[nn.Parameter, Callable[..., Tensor]]):
        super().__init__()
        self.taps = taps

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        if function is nn.functional.embedding and args[1] in self.taps:
            return self.taps[args[1]](None, args, {}, output)
        return output


def _tap(layer: TappedLayer, recorded: Recorded, anchor: Tensor) -> Callable[..., Tensor]:
    """Return the forward hook that puts a tap behind the layer."""
    keeps_input = bool(layer.rule.inputs_for & set(layer.parameters))

    def hook(module: nn.Module | None, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return output
        inputs = None
        if keeps_input:
            inputs = args[0] if args else next(iter(kwargs.values()))
            inputs = _per_example(inputs.detach(), recorded.batch_size, layer)
            inputs = as_positions(inputs, recorded.batch_size) if inputs.is_floating_point() else inputs.flatten(1)
        return Tap.apply(_per_example(output, recorded.batch_size, layer), anchor, inputs, layer, recorded)

    return hook


def as_positions(tensor: Tensor, batch_size: int) -> Tensor:
    """Return (B, d), (B, ..., d) or (B*T, d) as (B, T, d)."""
    if len(tensor) != batch_size:
        return tensor.unflatten(0, (batch_size, -1))
    return tensor.unsqueeze(1) if tensor.dim() == 2 else tensor.flatten(1, -2)


def _per_example(tensor: Tensor, batch_size: int, layer: TappedLayer) -> Tensor:
    """Expand a tensor that all examples share (position tables) to one copy per example, as a view.

    Rows of all examples one after another, (B*T, d), stay as they are: OPT's layers see those. A table of
    as many rows looks the same; the guard tells the two apart.
    """
    if tensor.dim() >= 2 and tensor.shape[0] == 1:
        return tensor.expand(batch_size, *tensor.shape[1:])
    flat = tensor.dim() == 2 and tensor.is_floating_point() and len(tensor) > 0 and len(tensor) % batch_size == 0
    if tensor.dim() < 2 or not (tensor.shape[0] == batch_size or flat):
        raise Unsupported(
            f"{layer.name} ({type(layer.module).__name__}) saw a tensor of shape "
            f"{tuple(tensor.shape)}: its first dimension must be the {batch_size} examples of the "
            "micro-batch (or 1, shared by all). Freeze the layer, or reshape inside it."
        )
    return tensor


def tapped_layers(model: nn.Module) -> list[TappedLayer]:
    """Return the layers to tap, or name every trained layer without a rule in an `Unsupported`, with what to do."""
    layers: list[TappedLayer] = []
    faults: list[str] = []
    covered: set[nn.Parameter] = set()
    for name, module in model.named_modules():
        wanted = {key: value for key, value in sorted(module.named_parameters(recurse=False)) if value.requires_grad}
        rule, inside = rule_for(module), False
        if wanted and rule is None:
            inside = isinstance(module, nn.Embedding)
            rule = RULES[full_name(nn.Embedding)] if inside else recognised_norm(module)
        if wanted and rule is not None:
            reason = rule.refuse(module)
            if reason:
                faults.append(f"{name} ({type(module).__name__}): {reason}. Freeze it or replace it.")
            layers.append(TappedLayer(name, module, rule, wanted, inside))
            covered.update(wanted.values())
    faults += _uncovered(model, covered)
    if faults:
        raise Unsupported("per-example clipping does not cover this model:\n  " + "\n  ".join(faults))
    return layers


def _uncovered(model: nn.Module, covered: set[nn.Parameter]) -> list[str]:
    """Return one sentence per module that trains parameters which no rule covers."""
    faults = []
    for name, module in model.named_modules():
        missing = [
            key for key, value in module.named_parameters(recurse=False) if value.requires_grad and value not in covered
        ]
        if missing:
            faults.append(
                f"{name or 'the model itself'} ({type(module).__name__}) trains "
                f"{', '.join(missing)}, and no clipping rule is registered for its class. "
                "Freeze it (requires_grad_(False)) or register one with "
                "lmodp.training.layer_rule."
            )
    return faults
