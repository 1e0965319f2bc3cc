"""Recording one forward and backward pass: inputs on the way up, gradients on the way down.

While recording, the trainable parameters do not require gradients, so the
backward pass computes gradients of activations only, and a tap after each
trainable layer receives the gradient of that layer's output.

    layer(x) ──> tap ──> rest of the network ──> summed loss
                  │ forward: keeps x where the rule needs it
                  │ backward: rule(x, gradient) -> contributions -> squared norms
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.training.clipping.bank import VectorBank
from lmodp.training.clipping.contributions import Contribution, GramCache, live_positions, squared_norm
from lmodp.training.clipping.rules import LayerRule, rule_for


@dataclass(frozen=True, eq=False)
class TappedLayer:
    """A module with trainable parameters, its rule and the parameters it trains, by name."""

    name: str
    module: nn.Module
    rule: LayerRule
    parameters: dict[str, nn.Parameter]

    @cached_property
    def wanted(self) -> frozenset[str]:
        """Names of the trained parameters."""
        return frozenset(self.parameters)

    @cached_property
    def keeps_input(self) -> bool:
        """Whether a trained parameter's gradient needs the layer's input."""
        return bool(self.wanted & self.rule.inputs_for)


@dataclass
class Tape:
    """What one micro-batch of ``batch_size`` examples left behind.

    ``squared_norms`` (B,) grows as the backward pass goes; the bank of vectors, and
    parameters used more than once, are added at the end (`finish`), when all their
    contributions are known.
    """

    batch_size: int
    bank: VectorBank
    squared_norms: Tensor | None = None
    calls: Counter[nn.Parameter] = field(default_factory=Counter)
    parts: dict[nn.Parameter, list[Contribution]] = field(default_factory=dict)
    grams: GramCache = field(default_factory=GramCache)

    def announce(self, layer: TappedLayer) -> None:
        """Count a forward call of a layer."""
        self.calls.update(layer.parameters.values())

    def receive(self, layer: TappedLayer, inputs: Tensor | None, grad: Tensor) -> None:
        """Take a layer's output gradient, (B, ..., p), in the backward pass."""
        inputs, grad = live_positions(inputs, as_positions(grad))
        found = layer.rule.contributions(layer.module, inputs, grad, layer.wanted)
        for name, part in found.items():
            parameter = layer.parameters[name]
            if self.bank.holds(parameter):
                self.bank.add(parameter, part.value)
                continue
            self.parts.setdefault(parameter, []).append(part)
            if self.calls[parameter] == 1:
                self._add_norms(squared_norm([part], self.grams))

    def _add_norms(self, found: Tensor | None) -> None:
        if found is not None:
            self.squared_norms = found if self.squared_norms is None else self.squared_norms + found

    def finish(self) -> Tensor | None:
        """Add what could not be added before and return the squared norms (B,); None if no layer took part."""
        self._add_norms(self.bank.squared_norms())
        for parameter, parts in self.parts.items():
            if self.calls[parameter] > 1:
                self._add_norms(squared_norm(parts, self.grams))
        self.grams = GramCache()
        return self.squared_norms


class Tap(torch.autograd.Function):
    """Identity on a layer's output that hands its gradient to the tape.

    ``anchor`` requires a gradient and receives none; it is what makes autograd
    visit the tap although no parameter requires a gradient.
    """

    @staticmethod
    def forward(ctx, output: Tensor, anchor: Tensor, inputs: Tensor | None, layer, tape) -> Tensor:
        ctx.layer, ctx.tape = layer, tape
        ctx.save_for_backward(inputs)
        return output.view_as(output)

    @staticmethod
    def backward(ctx, grad: Tensor):
        ctx.tape.receive(ctx.layer, ctx.saved_tensors[0], grad)
        return (grad if ctx.needs_input_grad[0] else None), None, None, None, None


def as_positions(tensor: Tensor) -> Tensor:
    """Return (B, d) or (B, ..., d) as (B, T, d)."""
    return tensor.unsqueeze(1) if tensor.dim() == 2 else tensor.flatten(1, -2)


def _layer_input(args: tuple, kwargs: dict) -> Tensor:
    return args[0] if args else next(iter(kwargs.values()))


def _per_example(tensor: Tensor, batch_size: int, layer: TappedLayer) -> Tensor:
    """Expand a tensor shared by the batch (position tables) to one copy an example, as a view."""
    if tensor.dim() >= 2 and tensor.shape[0] == 1:
        return tensor.expand(batch_size, *tensor.shape[1:])
    if tensor.dim() < 2 or tensor.shape[0] != batch_size:
        raise Unsupported(
            f"{layer.name} ({type(layer.module).__name__}) saw a tensor of shape "
            f"{tuple(tensor.shape)}: its first dimension must be the {batch_size} examples of the "
            "micro-batch (or 1, shared by all). Freeze the layer, or reshape inside it."
        )
    return tensor


@contextmanager
def recording(layers: list[TappedLayer], batch_size: int) -> Iterator[Tape]:
    """Record the passes made inside the block.

    Both the forward and the backward pass belong inside. On leaving, hooks are
    gone and the parameters require gradients again, also after an error.
    """
    parameters = {parameter: None for layer in layers for parameter in layer.parameters.values()}
    tape = Tape(batch_size, VectorBank(parameters, batch_size))
    anchor = torch.zeros((), requires_grad=True)
    handles = [layer.module.register_forward_hook(_hook(layer, tape, anchor), with_kwargs=True) for layer in layers]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield tape
    finally:
        for handle in handles:
            handle.remove()
        for parameter in parameters:
            parameter.requires_grad_(True)


def _hook(layer: TappedLayer, tape: Tape, anchor: Tensor):
    def hook(module: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return output
        tape.announce(layer)
        inputs = None
        if layer.keeps_input:
            inputs = _per_example(_layer_input(args, kwargs).detach(), tape.batch_size, layer)
            inputs = as_positions(inputs) if inputs.is_floating_point() else inputs.flatten(1)
        return Tap.apply(_per_example(output, tape.batch_size, layer), anchor, inputs, layer, tape)

    return hook


def tapped_layers(model: nn.Module) -> list[TappedLayer]:
    """Return the layers to tap, or name every trainable layer without a rule.

    Raises:
        Unsupported: a trainable parameter belongs to no layer with a rule, or to
            one that its rule refuses; every such layer is named with its class and
            what to do.
    """
    layers, faults, covered = [], [], set()
    for name, module in model.named_modules():
        wanted = {key: value for key, value in sorted(module.named_parameters(recurse=False)) if value.requires_grad}
        rule = rule_for(module)
        if wanted and rule is not None:
            reason = rule.refuse(module)
            if reason:
                faults.append(f"{name} ({type(module).__name__}): {reason}. Freeze it or replace it.")
            layers.append(TappedLayer(name, module, rule, wanted))
            covered.update(wanted.values())
    faults += _uncovered(model, covered)
    if faults:
        raise Unsupported("per-example clipping does not cover this model:\n  " + "\n  ".join(faults))
    return layers


def _uncovered(model: nn.Module, covered: set[nn.Parameter]) -> list[str]:
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
