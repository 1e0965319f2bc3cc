"""Tiny models of many architectures with random weights, saved with a tokenizer as transformers saves them."""

import json
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from lmodp.data.embedded import ENDINGS, NEGATIVE, POSITIVE, SUBJECTS
from lmodp.models.embedded import tiny_tokenizer

SMALL = {"vocab_size": 640, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 64}
WIDE = {**SMALL, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
GROUPED = {**WIDE, "num_key_value_heads": 1}
MASKED = {
    "roberta": WIDE,
    "bert": WIDE,
    "distilbert": {**SMALL, "dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2},
    "electra": {**WIDE, "embedding_size": 12},
    "modernbert": {**WIDE, "cls_token_id": 1, "sep_token_id": 2},
    "xlm-roberta": WIDE,
}
CAUSAL = {
    "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 8},
    "llama": GROUPED,
    "mistral": GROUPED,
    "gemma": {**GROUPED, "head_dim": 8},
    "phi": WIDE,
    "gpt_neox": WIDE,
    "gpt2": {**SMALL, "n_embd": 16, "n_layer": 2, "n_head": 2},
}


@cache
def _pieces():
    """A byte-level vocabulary in which every word of the made-up sentences is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [f"a {phrase} it was" for phrase in (*SUBJECTS, *POSITIVE, *NEGATIVE, *ENDINGS)] * 3
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=SMALL["vocab_size"],
        special_tokens=special,
        show_progress=False,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_of(kind):
    """A word tokenizer for encoders; a byte-level one for decoders, of the model's own class where it insists on it."""
    if kind in MASKED:
        found = tiny_tokenizer()
        found.add_special_tokens({"mask_token": "<mask>"})
        return found
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    if kind not in ("qwen2", "qwen3"):
        return PreTrainedTokenizerFast(tokenizer_object=_pieces(), model_max_length=64, **special)
    model = json.loads(_pieces().to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return Qwen2Tokenizer(vocab=model["vocab"], merges=merges, model_max_length=64, **special)


def build(kind):
    """A language model of an architecture, masked or causal, with random biases too."""
    torch.manual_seed(0)
    masked = kind in MASKED
    config = AutoConfig.for_model(kind, **(MASKED if masked else CAUSAL)[kind])
    model = (AutoModelForMaskedLM if masked else AutoModelForCausalLM).from_config(config)
    for name, value in model.named_parameters():
        if name.endswith("bias"):
            value.data.normal_(std=0.1)
    return model.eval()


def write(folder, kind):
    """Save such a model with its tokenizer and return it."""
    model = build(kind)
    model.save_pretrained(folder)
    tokenizer_of(kind).save_pretrained(folder)
    return model
