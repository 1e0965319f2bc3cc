"""One rule per layer type: from a layer's input and output gradient to its contributions.

A rule is a small function registered for a module class. Register one for a layer of your own::

    @layer_rule(MyScale, inputs_for={"weight"})
    def my_scale(module, inputs, grad, wanted):
        return {"weight": Explicit((grad * inputs).sum(1))}

Shapes: B examples, T positions (1 where the layer sees one vector per example),
d input width, p output width. ``inputs`` is (B, T, d) in the layer's own dtype (token ids are (B, T)), or None if no
parameter in ``wanted`` needs it; ``grad`` is the gradient of the summed loss with respect to the layer's output, (B, T,
p). ``wanted`` names the trained parameters.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmodp.training.clipping.contributions import (
    Contribution,
    Explicit,
    outer_or_explicit,
    rows_or_explicit,
    sum_positions,
    wide_enough,
)

# From (module, inputs, grad, wanted) to a contribution per wanted parameter. A rule may declare the module's class.
Contributions = dict[str, Contribution]
RuleFunction = Callable[[Any, Tensor | None, Tensor, frozenset[str]], Contributions]


@dataclass(frozen=True)
class LayerRule:
    """How one layer type yields its contributions.

    ``inputs_for`` names the parameters whose gradient needs the layer's input; if only others are trained (biases), it
    is not kept. ``refuse`` returns the reason why an instance is not supported, or None.
    """

    contributions: RuleFunction
    inputs_for: frozenset[str]
    refuse: Callable[[Any], str | None]


RULES: dict[str, LayerRule] = {}


def layer_rule(
    *types: type[nn.Module] | str, inputs_for: Iterable[str], refuse: Callable[[Any], str | None] = lambda module: None
) -> Callable[[RuleFunction], RuleFunction]:
    """Register the decorated function as the rule of these module classes.

    A class may be given by its full name, so that its package is not imported.
    """

    def register(function: RuleFunction) -> RuleFunction:
        for module_type in types:
            name = module_type if isinstance(module_type, str) else full_name(module_type)
            RULES[name] = LayerRule(function, frozenset(inputs_for), refuse)
        return function

    return register


def full_name(module_type: type[nn.Module]) -> str:
    """Return a class's module and name, the key of its rule."""
    return f"{module_type.__module__}.{module_type.__qualname__}"


def rule_for(module: nn.Module) -> LayerRule | None:
    """Return the rule of exactly this class, or None.

    Subclasses do not inherit a rule: they may compute something else.
    """
    return RULES.get(full_name(type(module)))


def biases(grad: Tensor, wanted: frozenset[str]) -> Contributions:
    """bias (p): gradient sum_t grad_t, formed at once (B, p)."""
    return {"bias": Explicit(sum_positions(grad))} if "bias" in wanted else {}


@layer_rule(nn.Linear, inputs_for={"weight"})
def linear(module: nn.Linear, inputs: Tensor | None, grad: Tensor, wanted: frozenset[str]) -> Contributions:
    """weight (p, d): sum_t grad_t inputs_t^T; bias (p): sum_t grad_t."""
    parts = biases(grad, wanted)
    if "weight" in wanted:
        assert inputs is not None
        parts["weight"] = outer_or_explicit(grad, inputs)
    return parts


@layer_rule("transformers.pytorch_utils.Conv1D", inputs_for={"weight"})
def conv1d(module: nn.Module, inputs: Tensor | None, grad: Tensor, wanted: frozenset[str]) -> Contributions:
    """The Conv1D of GPT-2. weight (d, p), a Linear's transpose: sum_t inputs_t grad_t^T; bias (p)."""
    parts = biases(grad, wanted)
    if "weight" in wanted:
        assert inputs is not None
        parts["weight"] = outer_or_explicit(inputs, grad)
    return parts


def _refuse_embedding(module: nn.Embedding) -> str | None:
    if module.max_norm is not None:
        return "max_norm rescales rows in the forward pass, which mixes examples"
    if module.scale_grad_by_freq:
        return "scale_grad_by_freq divides by counts over the whole batch, which mixes examples"
    return "sparse gradients are not formed" if module.sparse else None


@layer_rule(nn.Embedding, inputs_for={"weight"}, refuse=_refuse_embedding)
def embedding(module: nn.Embedding, inputs: Tensor | None, grad: Tensor, wanted: frozenset[str]) -> Contributions:
    """weight (V, p): grad_t added to row inputs_t; the padding row receives nothing."""
    assert inputs is not None
    ids = inputs
    if module.padding_idx is not None:  # torch counts a negative number from the end
        ids = ids.masked_fill(ids == module.padding_idx % module.num_embeddings, -1)
    return {"weight": rows_or_explicit(ids, grad, module.num_embeddings)}


def scaled_rows(rows: Tensor, epsilon: float, grad: Tensor) -> Explicit:
    """weight (p): sum_t grad_t * rows_t / sqrt(mean(rows_t^2) + epsilon), formed at once (B, p).

    The rows' scales come last, as one product with (B, 1, T): the normalised rows themselves are never formed.
    """
    grad = wide_enough(grad)
    scale = torch.linalg.vector_norm(rows, dim=-1).square_().div_(rows.shape[-1]).add_(epsilon).rsqrt_()
    return Explicit(torch.bmm(scale.to(grad.dtype).unsqueeze(1), rows * grad).squeeze(1))


def _refuse_wide_norm(module: nn.LayerNorm | nn.RMSNorm) -> str | None:
    if len(module.normalized_shape) > 1:
        return "it normalises over more than the last dimension"
    return None


@layer_rule(nn.LayerNorm, inputs_for={"weight"}, refuse=_refuse_wide_norm)
def layer_norm(module: nn.LayerNorm, inputs: Tensor | None, grad: Tensor, wanted: frozenset[str]) -> Contributions:
    """weight (p): sum_t grad_t * normalised_t; bias (p): sum_t grad_t."""
    parts = biases(grad, wanted)
    if "weight" in wanted:
        assert inputs is not None
        rows = wide_enough(inputs)
        parts["weight"] = scaled_rows(rows - rows.mean(-1, keepdim=True), module.eps, grad)
    return parts


@layer_rule(nn.RMSNorm, inputs_for={"weight"}, refuse=_refuse_wide_norm)
def rms_norm(module: nn.RMSNorm, inputs: Tensor | None, grad: Tensor, wanted: frozenset[str]) -> Contributions:
    """weight (p): sum_t grad_t * inputs_t / rms(inputs_t)."""
    assert inputs is not None
    epsilon = module.eps if module.eps is not None else torch.finfo(inputs.dtype).eps
    return {"weight": scaled_rows(wide_enough(inputs), epsilon, grad)}


# Norms recognised by what they compute: a class of another name with the same formula needs no rule of its own.
# Two formulas cover the norms of transformers: a trained scale times rows divided by their root mean square (RMSNorm;
# Gemma's adds 1 to the scale, which leaves the gradient as it is), and the same for rows without their mean
# (LayerNorm). A layer is taken for one of them only if its gradients are those of the formula.
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
