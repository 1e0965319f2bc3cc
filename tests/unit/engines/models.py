"""Tiny models of every architecture, with the data and loss of their task."""

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from lmodp.models.classifier import SequenceClassifier
from lmodp.models.trainable import set_trainable
from lmodp.training import TokenColumns, causal_lm_loss, classification_loss

_ENCODER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
CONFIGS = {
    "roberta": {**_ENCODER, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "bert": {**_ENCODER, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "gpt2": {
        "n_embd": 16,
        "n_layer": 2,
        "n_head": 2,
        "vocab_size": 50,
        "n_positions": 40,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "llama": {**_ENCODER, "num_key_value_heads": 2},
}


def tiny(architecture, *, language_model, part, size=40):
    """Return a model, its examples and its loss; adapters are given values that matter."""
    torch.manual_seed(1)
    config = AutoConfig.for_model(architecture, **CONFIGS[architecture])
    if language_model:
        model = AutoModelForCausalLM.from_config(config)
    else:
        model = SequenceClassifier(AutoModelForSequenceClassification.from_config(config))
    set_trainable(model, part, seed=0)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    draw = np.random.default_rng(0)
    rows = [draw.integers(3, 50, size=draw.integers(4, 9)) for _ in range(size)]
    if language_model:
        return model, TokenColumns({"input_ids": rows, "labels": rows}, padding={"input_ids": 0}), causal_lm_loss
    labels = draw.integers(0, 2, size)
    return (
        model,
        TokenColumns({"input_ids": rows}, padding={"input_ids": 0}, values={"labels": labels}),
        classification_loss,
    )
