"""The settings of the small GPT-2's pretraining, apart from what needs torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """Size of the model and length of its training.

    ``block`` is the tokens of one training sequence, ``batch_size`` sequences a step; ``steps`` of AdamW have a linear
    ``warmup`` and a cosine decay from ``learning_rate`` to zero. Perplexity is measured on the share ``held_out`` of
    blocks.
    """

    vocabulary: int = 2048
    width: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 256
    block: int = 128
    batch_size: int = 8
    steps: int = 400
    learning_rate: float = 6e-3
    warmup: int = 50
    weight_decay: float = 0.1
    held_out: float = 0.02
    seed: int = 20240529
