"""Tiny random models and a word tokenizer, to try the workflow without any download."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from lmodp.data.made_up import ENDINGS, NEGATIVE, POSITIVE, SUBJECTS
from lmodp.errors import InvalidValue
from lmodp.models.cards import ModelCard

_SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
_SEED = 20240529


def load_tiny(card: ModelCard) -> RobertaModel:
    """Return a randomly initialised encoder, the same on every call."""
    if card.architecture != "roberta" or card.random is None:
        raise InvalidValue(f"model = {card.name!r}: no tiny {card.architecture} is defined.")
    config = RobertaConfig(
        **card.random,
        type_vocab_size=1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return RobertaModel(config, add_pooling_layer=False).eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer whose vocabulary is the words of the synthetic sentences."""
    words = sorted({word for phrase in (*SUBJECTS, *POSITIVE, *NEGATIVE, *ENDINGS) for word in phrase.split()})
    vocabulary = {token: number for number, token in enumerate([*_SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )
