"""One row per example for embeddings that a model looks up once for the whole batch."""

from __future__ import annotations

from torch import nn


class RowAnExample:
    """Hooks that expand a shared (1, T) index to (B, T), as per-example engines need.

    BERT and GPT-2 look up their position table once and add the result to every
    example. With the hooks the values stay the same, and each example has its own
    gradient.

    Args:
        model: its embeddings keep the hooks until `remove`.
    """

    def __init__(self, model: nn.Module):
        self.size = 1
        self.handles = [
            module.register_forward_pre_hook(self._expand)
            for module in model.modules()
            if isinstance(module, nn.Embedding)
        ]

    def _expand(self, module: nn.Module, arguments: tuple) -> tuple:
        index, *rest = arguments
        return (index.expand(self.size, -1) if index.dim() == 2 and len(index) == 1 else index, *rest)

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()
