"""Sentences from a language model by batched beam search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig
from transformers.utils import logging

from lmodp.errors import require
from lmodp.models.architectures import TransformersModel


@dataclass(frozen=True, kw_only=True)
class DecodingSettings:
    """The settings of beam search.

    Args:
        num_beams: 1 is greedy search.
        max_new_tokens: longest sentence, including the end token.
        min_new_tokens: shortest sentence, without the end token.
        length_penalty: a hypothesis' log probability is divided by its length to this power.
        no_repeat_ngram_size: an n-gram of this size occurs at most once; 0 for no such rule.
        batch_size: records decoded together; it affects memory, not the result.
        records: number of distinct records that are scored; None for all.
    """

    num_beams: int = 5
    max_new_tokens: int = 100
    min_new_tokens: int = 0
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    batch_size: int = 32
    records: int | None = None


def generate_sentences(
    model: TransformersModel, prompts: Sequence[Sequence[int]], *, tokenizer: Any, settings: DecodingSettings
) -> list[str]:
    """Return the best sentence found for each prompt (token numbers, separator included), as one line of text.

    Prompts are decoded in the order of their lengths, so that batches need little padding. They are padded on the left,
    so that all sentences of a batch start in the same column. Padding is masked and does not count in positions.

    Raises:
        InvalidValue: a prompt and its sentence need more positions than the model has.
    """
    longest = max(map(len, prompts), default=0) + settings.max_new_tokens
    limit = model.config.max_position_embeddings
    rule = f"with the longest record needs {longest} positions, the model has {limit}"
    require(longest <= limit, "max_new_tokens", settings.max_new_tokens, rule, "Lower max_new_tokens.")
    order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
    found = [""] * len(prompts)
    for start in range(0, len(order), settings.batch_size):
        places = order[start : start + settings.batch_size]
        for place, text in zip(places, _decode([prompts[i] for i in places], model, tokenizer, settings), strict=True):
            found[place] = text
    return found


def pad_left(rows: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, Tensor]:
    """Return ``input_ids`` and ``attention_mask``, (B, T), with the padding in front."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad_token_id)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for row, tokens in enumerate(rows):
        ids[row, width - len(tokens) :] = torch.as_tensor(tokens)
        mask[row, width - len(tokens) :] = 1
    return {"input_ids": ids, "attention_mask": mask}


@torch.no_grad()
def _decode(
    prompts: list[Sequence[int]], model: TransformersModel, tokenizer: Any, settings: DecodingSettings
) -> list[str]:
    logging.set_verbosity_error()
    batch = {name: value.to(model.device) for name, value in pad_left(prompts, tokenizer.pad_token_id).items()}
    tokens = model.generate(**batch, generation_config=GenerationConfig(**_options(tokenizer, settings)))
    return [
        " ".join(text.split())
        for text in tokenizer.batch_decode(tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    ]


def _options(tokenizer: Any, settings: DecodingSettings) -> Mapping[str, Any]:
    return {
        "num_beams": settings.num_beams,
        "max_new_tokens": settings.max_new_tokens,
        "min_new_tokens": settings.min_new_tokens or None,
        "length_penalty": settings.length_penalty,
        "no_repeat_ngram_size": settings.no_repeat_ngram_size,
        "do_sample": False,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
