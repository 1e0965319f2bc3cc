"""Per-example losses: one number per example, the mean over the example's own tokens.

A loss averaged over all tokens of the micro-batch would give an example a weight that depends on its neighbours'
lengths. Its gradient would then no longer depend on that example alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, nn

from lmodp.errors import Fault, InvalidValue, Unsupported, one_line

Loss = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]  # one number per example, (B,)
IGNORED = -100  # target of a position that carries no loss, as in transformers


def classification_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the cross entropy (B,) of ``model(**inputs)`` at ``batch["labels"]`` (B,)."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with explained(model, batch):
        logits = _logits(model(**inputs))
        return nn.functional.cross_entropy(_wide(logits), batch["labels"], reduction="none")


def causal_lm_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the mean next-token cross entropy (B,) over each example's own targets; without any, 0.

    ``labels`` (B, T) are -100 where a token is not a target. They are shifted, not the logits, so that no copy of the
    (B, T, V) logits is made.
    """
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    targets = nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)
    with explained(model, batch):
        return token_losses(_logits(model(**inputs, use_cache=False)), targets)


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy (B,) over positions with a target: (B, T, V), (B, T)."""
    flat = nn.functional.cross_entropy(
        _wide(logits).flatten(0, 1), targets.flatten(), reduction="none", ignore_index=IGNORED
    )
    counts = (targets != IGNORED).sum(1)
    return flat.view_as(targets).sum(1) / counts.clamp_min(1)


@contextmanager
def explained(model: nn.Module, batch: Mapping[str, Tensor]) -> Iterator[None]:
    """Context: a token, label or position that the model has no place for is told by name and value.

    Raises `InvalidValue` or `Unsupported` (parts of different precision meet) in place of torch's error. On a GPU the
    device itself stops, without a place; there torch's own error stays.
    """
    try:
        yield
    except (IndexError, RuntimeError) as error:
        if re.search("same dtype|same type|scalar type", str(error)):
            raise Unsupported(
                f"{type(model).__name__} has parts of 16 and of 32 bits, which do not meet without autocast "
                f"({one_line(str(error))}). Set precision: bfloat16, or load the model in float32."
            ) from error
        fault = _index_fault(error, model, batch)
        if fault is None:
            raise
        raise InvalidValue(str(fault)) from error


def _index_fault(error: Exception, model: nn.Module, batch: Mapping[str, Tensor]) -> Fault | None:
    for frame, _ in walk_tb(error.__traceback__):
        table, ids = frame.f_locals.get("self"), frame.f_locals.get("input")
        if isinstance(table, nn.Embedding) and isinstance(ids, Tensor) and isinstance(error, IndexError):
            name = next((name for name, module in model.named_modules() if module is table), type(table).__name__)
            worst = int(ids.max()) if int(ids.max()) >= table.num_embeddings else int(ids.min())
            remedy = "Take the model's own tokenizer; shorten texts that are longer than its positions (max_length)."
            return Fault(f"index of {name}", worst, f"must be from 0 to {table.num_embeddings - 1}", remedy)
    target = re.search(r"Target (-?\d+) is out of bounds", str(error))
    if target:
        remedy = "Number the labels from 0, and give the model as many classes as the data have."
        return Fault("label", int(target[1]), "the model has no such class or token", remedy)
    configs = (module.config for module in model.modules() if hasattr(module, "config"))
    most = getattr(next(configs, None), "max_position_embeddings", None)
    length = batch["input_ids"].shape[1] if "input_ids" in batch else 0
    if most and length > most and re.search("out of bounds|must match|expanded size", str(error)):
        return Fault("length", length, f"the model has {most} positions", "Shorten the texts (max_length).")
    return None


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _logits(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output.logits


def in_precision(loss: Loss, precision: str) -> Loss:
    """Return the loss function under bfloat16 autocast, or as it is for float32."""
    if precision == "float32":
        return loss

    def autocast_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(next(iter(batch.values())).device.type, dtype=torch.bfloat16):
            return loss(model, batch)

    return autocast_loss
