"""The settings of the small GPT-2's pretraining, apart from what needs torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """Size of the model and length of its training.

    Args:
        vocabulary: number of tokens, including the end token and all bytes.
        width, layers, heads, positions: of the GPT-2.
        block: tokens in one training sequence.
        batch_size: sequences per step.
        steps: steps of AdamW, with a linear warm-up and a cosine decay to zero.
        learning_rate: the highest learning rate.
        warmup: steps of the warm-up.
        weight_decay: on matrices.
        held_out: share of blocks on which the recorded perplexity is measured.
        seed: of the initial weights and of the order of blocks.
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
