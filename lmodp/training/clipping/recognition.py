"""Norms recognised by what they compute: a class of another name with the same formula needs no rule of its own.

Two formulas cover the norms of transformers: a trained scale times rows divided by their root mean square (RMSNorm;
Gemma's adds 1 to the scale, which leaves the gradient as it is), and the same for rows without their mean (LayerNorm).
A layer is taken for one of them only if its gradients, differentiated by torch in float64, are those of the formula.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lmodp.training.clipping.contributions import Explicit, wide_enough
from lmodp.training.clipping.rules import Contributions, LayerRule, biases, scaled_rows

AGREEMENT = 1e-5  # of the gradient; several such classes compute in float32 whatever they are given
LARGEST_EPSILON = 0.1


def recognised_norm(module: nn.Module) -> LayerRule | None:
    """Return the rule of a norm, found from its structure and its gradients; None if it is something else.

    Structure: no children and no buffers, a ``weight`` (p,) and perhaps a ``bias`` (p,), and a small
    positive number among its attributes, the epsilon under the root.
    """
    shapes = {name: tuple(value.shape) for name, value in module.named_parameters()}
    names, shape = set(shapes), shapes.get("weight", ())
    if not {"weight"} <= names <= {"weight", "bias"} or len(shape) != 1 or len(set(shapes.values())) > 1:
        return None
    if len(list(module.modules())) > 1 or any(True for _ in module.buffers()):
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        probe = _probe(module, shape[0])
    return next((rule for rule in _candidates(module) if _agrees(rule, module, probe)), None)


def _candidates(module: nn.Module) -> Iterator[LayerRule]:
    numbers = {value for value in vars(module).values() if isinstance(value, float) and 0 < value < LARGEST_EPSILON}
    for epsilon in sorted(numbers):
        for centred in (False, True):
            yield LayerRule(_norm(epsilon, centred), frozenset({"weight"}), lambda module: None)


def _norm(epsilon: float, centred: bool) -> Callable[..., Contributions]:
    def rule(module: Any, inputs: Tensor | None, grad: Tensor, wanted: frozenset[str]) -> Contributions:
        """weight (p): sum_t grad_t * normalised_t; bias (p): sum_t grad_t."""
        parts = biases(grad, wanted)
        if "weight" in wanted:
            assert inputs is not None
            rows = wide_enough(inputs)
            parts["weight"] = scaled_rows(rows - rows.mean(-1, keepdim=True) if centred else rows, epsilon, grad)
        return parts

    return rule


Probe = tuple[Tensor, Tensor, list[dict[str, Tensor]]]  # inputs, output gradients, gradients of each example


def _probe(module: nn.Module, width: int) -> Probe | None:
    """Return inputs and output gradients (2, 4, p) and each example's true gradients; None if it does not run.

    Each row has a scale of its own, from far below the root of any epsilon to far above.
    """
    # A copy on the CPU, with weights that are no special case and without the engine's hooks.
    # A model on torch's meta device, which `lmodp plan` reads, has no values to copy.
    layer: Any = copy.deepcopy(module).to(torch.float64).to_empty(device="cpu").requires_grad_(True)
    scales = torch.tensor([1e-4, 1e-2, 1.0, 30.0], dtype=torch.float64)[:, None]
    inputs = (torch.randn(2, 4, width, dtype=torch.float64) + 0.3) * scales
    grad = torch.randn(2, 4, width, dtype=torch.float64)
    with torch.no_grad():
        for value in layer.parameters():
            value.normal_()
    names, values = zip(*layer.named_parameters(), strict=True)
    try:
        output = layer(inputs)  # both at once, so that a layer that mixes examples shows
        found = [
            torch.autograd.grad(output[one], values, grad[one].to(output.dtype), retain_graph=True) for one in (0, 1)
        ]
    except Exception:  # a layer of another kind may raise anything on these inputs
        return None
    return inputs, grad, [dict(zip(names, gradients, strict=True)) for gradients in found]


def _agrees(rule: LayerRule, module: nn.Module, probe: Probe | None) -> bool:
    if probe is None:
        return False
    inputs, grad, true = probe
    found = rule.contributions(module, inputs, grad, frozenset(true[0]))
    return all(
        isinstance(part, Explicit)
        and bool((part.value[one] - true[one][name]).norm() <= AGREEMENT * true[one][name].norm())
        for name, part in found.items()
        for one in (0, 1)
    )
