"""The stage tokenize_dataset: turns sentences into token numbers, once per data set and tokenizer."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from transformers import AutoConfig, AutoModel, PretrainedConfig

from lmodp.data.prompts import prompt_rows, word_tokens
from lmodp.data.table_to_text import group_references
from lmodp.data.tables import load_splits
from lmodp.data.tokens import TokenizedSplit, load_tokenizer, plain_tokens, prompt_tokens
from lmodp.errors import DamagedFile, require
from lmodp.records.record import write_json


def tokenize_dataset(
    spec: Mapping[str, Any], *, dataset_folder: Path, model_folder: Path, folder: Path
) -> dict[str, Any]:
    """Tokenize every split and write one safetensors file per split; return sizes, lengths and truncated examples.

    For a table-to-text set, the references of each record are written beside the tokens of the evaluation splits, so
    that scoring needs no other file. ``max_length`` of the spec counts the special tokens.

    Raises:
        InvalidValue: the model has fewer positions than ``max_length``, ``max_length`` leaves no room for a text, or
            the tokenizer cannot pad or end a sequence.
        DamagedFile: the tokenizer is not whole, or is not the model's.
    """
    tokenizer = load_tokenizer(model_folder)
    splits = load_splits(dataset_folder)
    config = AutoConfig.from_pretrained(model_folder, local_files_only=True)
    types, length = getattr(config, "type_vocab_size", 1), spec["max_length"]
    require_positions(config, length)
    _check_room(tokenizer, splits["train"].column_names, length)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    for name, rows in splits.items():
        head = spec.get("head")
        if head is None:
            split = _tokenize(tokenizer, rows, length, token_types=types > 1)
        else:
            split = _tokenize_prompts(tokenizer, rows, length, head)
        if "record" in rows.column_names and name != "train":
            write_json(folder / f"{name}.references.json", group_references(rows))
        arrays = {key: value for key, value in vars(split).items() if isinstance(value, np.ndarray)}
        save_file(arrays, folder / f"{name}.safetensors")
        _check_words(tokenizer, split)
        facts[name] = _facts(split)
    return {"splits": facts, "pad_token_id": tokenizer.pad_token_id, "vocabulary": len(tokenizer)}


def _check_room(tokenizer: Any, columns: list[str], max_length: int) -> None:
    """Raise `InvalidValue` unless every text keeps a token; a tokenizer ignores a limit below its own marks."""
    if "record" in columns:
        return  # a record that leaves no room for its sentence is counted
    texts = 2 if "sentence2" in columns else 1
    marks = tokenizer.num_special_tokens_to_add(pair=texts == 2)
    rule = f"must be at least {marks + texts}: {marks} special tokens and {texts} of text"
    require(max_length >= marks + texts, "max_length", max_length, rule)


def _check_words(tokenizer: Any, split: TokenizedSplit) -> None:
    """Raise `DamagedFile` if all texts read the same, as under a tokenizer that knows no word of them."""
    rows = split.rows()
    if len(rows) > 1 and all(np.array_equal(row, rows[0]) for row in rows):
        raise DamagedFile(
            f"tokenizer = {type(tokenizer).__name__}: all {len(rows)} texts become the same {len(rows[0])} tokens. "
            "Save the folder's tokenizer as the class that transformers has for this model, and with its words."
        )


def require_positions(config: PretrainedConfig, max_length: int) -> None:
    """Raise `InvalidValue` if a model has fewer positions than ``max_length``."""
    limit = position_limit(config)
    require(max_length <= limit, "max_length", max_length, f"is more than the model's {limit} positions")


def position_limit(config: PretrainedConfig) -> int:
    """Return the longest sequence that a model has positions for; the largest number for one without a limit.

    RoBERTa and its kin count positions from the padding token's number plus one; their table of positions says so.
    """
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None:
        return sys.maxsize
    with torch.device("meta"):
        parts = AutoModel.from_config(config).named_modules()
    tables = (part for name, part in parts if name.endswith("position_embeddings") and isinstance(part, nn.Embedding))
    return int(limit) - next((table.padding_idx + 1 for table in tables if table.padding_idx is not None), 0)


def _tokenize(tokenizer: Any, rows: Any, max_length: int, *, token_types: bool) -> TokenizedSplit:
    if "record" in rows.column_names:
        return _tokenize_records(tokenizer, rows, max_length)
    columns = [list(rows[name]) for name in ("sentence", "sentence2") if name in rows.column_names]
    full = tokenizer(*columns, truncation=False, verbose=False)["input_ids"]
    typed = token_types and len(columns) == 2
    found = tokenizer(*columns, truncation=True, max_length=max_length, return_token_type_ids=typed)
    kept = found["input_ids"]
    return TokenizedSplit(
        tokens=_flat(kept),
        starts=_starts(kept),
        labels=np.array(rows["label"], dtype=np.int64),
        token_types=_flat(found["token_type_ids"]) if typed else None,
        truncated=sum(len(long) > len(short) for long, short in zip(full, kept, strict=True)),
    )


def _tokenize_prompts(tokenizer: Any, rows: Any, max_length: int, head: Mapping[str, Any]) -> TokenizedSplit:
    word_tokens(tokenizer, head["words"])  # refused before anything is trained
    columns = [list(rows[name]) for name in ("sentence", "sentence2") if name in rows.column_names]
    kept, masks, truncated = prompt_rows(tokenizer, head["prompt"], columns, max_length)
    return TokenizedSplit(
        tokens=_flat(kept),
        starts=_starts(kept),
        labels=np.array(rows["label"], dtype=np.int64),
        masks=None if masks is None else np.array(masks, dtype=np.int64),
        truncated=truncated,
    )


def _tokenize_records(tokenizer: Any, rows: Any, max_length: int) -> TokenizedSplit:
    prompts = prompt_tokens(tokenizer, list(rows["record"]))
    texts = plain_tokens(tokenizer, [" " + text for text in rows["text"]])
    full = [[*prompt, *text, tokenizer.eos_token_id] for prompt, text in zip(prompts, texts, strict=True)]
    kept = [tokens[:max_length] for tokens in full]
    return TokenizedSplit(
        tokens=_flat(kept),
        starts=_starts(kept),
        target_starts=np.array([min(len(prompt), max_length) for prompt in prompts], dtype=np.int64),
        truncated=sum(len(tokens) > max_length for tokens in full),
    )


def _flat(rows: list[list[int]]) -> np.ndarray:
    return np.array([token for tokens in rows for token in tokens], dtype=np.int64)


def _starts(rows: list[list[int]]) -> np.ndarray:
    return np.cumsum([0, *map(len, rows)], dtype=np.int64)


def _facts(split: TokenizedSplit) -> dict[str, Any]:
    lengths = np.diff(split.starts)
    facts = {
        "examples": len(split),
        "truncated": split.truncated,
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max(initial=0)),
        "mean_length": round(float(lengths.mean()), 4) if len(split) else 0.0,
    }
    return facts if split.target_starts is None else {**facts, "without_target": split.without_target()}
