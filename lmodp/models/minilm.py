"""The packaged encoder: MiniLM, whose weights are those of a BERT, loaded exactly into RoBERTa classes.

BERT and RoBERTa compute the same function, except for two tables. RoBERTa numbers positions from ``pad_token_id + 1``
(here 1, so 513 rows for 512 positions) and never reads the row of a padding token. It has only one token type, so
BERT's row 0 is kept. On tokens that are not padding, the hidden states are equal to the bit (tested).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BertModel, RobertaConfig, RobertaModel

_SAME = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "initializer_range",
)


def load_minilm_bert(folder: Path) -> BertModel:
    """Return the encoder in the classes its weights were trained in (with BERT's pooler)."""
    return BertModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()


def load_minilm_roberta(folder: Path) -> RobertaModel:
    """Return the same encoder in RoBERTa's classes, without a pooler."""
    return roberta_from_bert(load_minilm_bert(folder))


def roberta_from_bert(bert: BertModel) -> RobertaModel:
    """Return a RoBERTa whose hidden states equal those of ``bert`` with token type 0.

    The tables of token and position embeddings of the result have shapes
    (V, H) and (P + pad + 1, H) for a BERT with (V, H) and (P, H).
    """
    old: Any = bert.config
    shift = old.pad_token_id + 1
    config = RobertaConfig(
        **{name: getattr(old, name) for name in _SAME},
        max_position_embeddings=old.max_position_embeddings + shift,
        type_vocab_size=1,
        pad_token_id=old.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        tie_word_embeddings=False,
    )
    roberta = RobertaModel(config, add_pooling_layer=False).eval()
    roberta.load_state_dict(_shifted(bert.state_dict(), roberta.state_dict(), shift))
    return roberta


def _shifted(old: dict[str, torch.Tensor], new: dict[str, torch.Tensor], shift: int) -> dict[str, torch.Tensor]:
    """BERT's weights in RoBERTa's shapes; the names are the same."""
    weights = {name: old[name] for name in new if name in old}
    positions = old["embeddings.position_embeddings.weight"]
    unused = torch.zeros(shift, positions.shape[1])  # rows that no token reads
    weights["embeddings.position_embeddings.weight"] = torch.cat([unused, positions])
    weights["embeddings.token_type_embeddings.weight"] = old["embeddings.token_type_embeddings.weight"][:1]
    return weights
