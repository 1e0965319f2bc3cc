"""The stage tokenize_dataset: sentences to token numbers, once per data set and tokenizer.

A record and its sentence become one sequence::

    GPT-2            record, end of text, sentence, end of text
    start and end    start, record, line break, sentence, end
    tokens apart

Only the sentence and the end are targets of the loss. The first form is that of
Li et al. 2022 for GPT-2, whose one special token serves as both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig

from lmodp.data.table_to_text import group_references
from lmodp.data.tables import load_splits
from lmodp.errors import InvalidValue, MissingFile, require
from lmodp.records import read_json, write_json

NO_TARGET = -100  # label of a token that carries no loss, as in transformers


@dataclass(frozen=True)
class TokenisedSplit:
    """Ragged token numbers of one split.

    Args:
        tokens: all examples' tokens one after the other, shape (sum of lengths,), int64.
        starts: example i owns ``tokens[starts[i]:starts[i + 1]]``, shape (N + 1,), int64.
        labels: class of each example, shape (N,), int64; None for table-to-text.
        target_starts: how many of an example's tokens precede its sentence, shape
            (N,), int64; None for classification.
        token_types: 0 in the first and 1 in the second sentence, shape as ``tokens``;
            None where the model has one type, or sentences are single.
        truncated: how many examples were cut at the limit.
    """

    tokens: np.ndarray
    starts: np.ndarray
    labels: np.ndarray | None = None
    target_starts: np.ndarray | None = None
    token_types: np.ndarray | None = None
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self) -> list[np.ndarray]:
        """Return each example's tokens."""
        return np.split(self.tokens, self.starts[1:-1])

    def columns(self) -> dict[str, list[np.ndarray]]:
        """Return what a model reads of each example, by the name of its argument."""
        types = {} if self.token_types is None else {"token_type_ids": np.split(self.token_types, self.starts[1:-1])}
        return {"input_ids": self.rows(), **types}

    def target_rows(self) -> list[np.ndarray]:
        """Return each example's labels: its tokens, `NO_TARGET` before the sentence."""
        rows = [row.copy() for row in self.rows()]
        for row, start in zip(rows, self.target_starts, strict=True):
            row[:start] = NO_TARGET
        return rows

    def without_target(self) -> int:
        """Return how many examples were cut before their sentence; their loss is 0."""
        return int((self.target_starts >= np.diff(self.starts)).sum())


def tokenize_dataset(spec: Mapping[str, Any], *, dataset_folder: Path, model_folder: Path, folder: Path) -> dict[str, Any]:
    """Tokenise every split and write one safetensors file a split.

    Of a table-to-text set, the references of each record are written beside the
    evaluation splits' tokens, so that scoring needs no other file.

    Args:
        spec: ``max_length`` counts the special tokens.
        dataset_folder: output of prepare_dataset.
        model_folder: output of prepare_model; holds the tokenizer.
        folder: where the files are written.

    Returns:
        The record's content: sizes, lengths and truncated examples by split.

    Raises:
        InvalidValue: the model has fewer positions than ``max_length``, or its
            tokenizer cannot pad or end a sequence.
    """
    tokenizer = load_tokenizer(model_folder)
    config = AutoConfig.from_pretrained(model_folder, local_files_only=True)
    limit, types = position_limit(config), getattr(config, "type_vocab_size", 1)
    require(spec["max_length"] <= limit, "max_length", spec["max_length"], f"is past the model's {limit} positions")
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    for name, rows in load_splits(dataset_folder).items():
        split = _tokenise(tokenizer, rows, spec["max_length"], token_types=types > 1)
        if "record" in rows.column_names and name != "train":
            write_json(folder / f"{name}.references.json", group_references(rows["record"], rows["text"]))
        arrays = {key: getattr(split, key) for key in ("tokens", "starts", "labels", "target_starts", "token_types")}
        save_file({key: value for key, value in arrays.items() if value is not None}, folder / f"{name}.safetensors")
        facts[name] = _facts(split)
    return {"splits": facts, "pad_token_id": tokenizer.pad_token_id, "vocabulary": len(tokenizer)}


def load_tokenizer(model_folder: Path) -> Any:
    """Return a prepared model's tokenizer.

    Raises:
        InvalidValue: it has no padding token and none can stand in for it.
    """
    tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise InvalidValue(f"tokenizer of {model_folder.name} = no padding token: batches cannot be padded. Set pad_token.")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def position_limit(config: PretrainedConfig) -> int:
    """Return the longest sequence that a model has positions for."""
    unused = config.pad_token_id + 1 if config.model_type == "roberta" else 0  # RoBERTa counts from pad + 1
    return config.max_position_embeddings - unused


def load_tokens(folder: Path, split: str) -> TokenisedSplit:
    """Return a split that `tokenize_dataset` wrote.

    Raises:
        MissingFile: it is not there.
    """
    path = folder / f"{split}.safetensors"
    if not path.is_file():
        raise MissingFile(f"tokens = {str(path)!r}: is not there. Run the stage tokenize_dataset.")
    return TokenisedSplit(**load_file(path))


def load_references(folder: Path, split: str) -> dict[str, list[str]]:
    """Return all references of each distinct record of a split, in order of first appearance."""
    return read_json(folder / f"{split}.references.json")


def prompt_tokens(tokenizer: Any, records: list[str]) -> list[list[int]]:
    """Return what precedes the sentence of each record, separator included.

    Raises:
        InvalidValue: the tokenizer has no token for the end of a sequence.
    """
    require(tokenizer.eos_token_id is not None, "tokenizer.eos_token", None, "is needed to end a sentence")
    if not records:
        return []
    single = tokenizer.bos_token_id in (None, tokenizer.eos_token_id)
    before, after = ([], [tokenizer.eos_token_id]) if single else ([tokenizer.bos_token_id], _plain(tokenizer, ["\n"])[0])
    return [[*before, *tokens, *after] for tokens in _plain(tokenizer, [" " + record for record in records])]


def _plain(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]


def _tokenise(tokenizer: Any, rows: Any, max_length: int, *, token_types: bool) -> TokenisedSplit:
    if "record" in rows.column_names:
        return _tokenise_records(tokenizer, rows, max_length)
    columns = [list(rows[name]) for name in ("sentence", "sentence2") if name in rows.column_names]
    full = tokenizer(*columns, truncation=False, verbose=False)["input_ids"]
    typed = token_types and len(columns) == 2
    found = tokenizer(*columns, truncation=True, max_length=max_length, return_token_type_ids=typed)
    kept = found["input_ids"]
    return TokenisedSplit(
        tokens=_flat(kept),
        starts=_starts(kept),
        labels=np.array(rows["label"], dtype=np.int64),
        token_types=_flat(found["token_type_ids"]) if typed else None,
        truncated=sum(len(long) > len(short) for long, short in zip(full, kept, strict=True)),
    )


def _tokenise_records(tokenizer: Any, rows: Any, max_length: int) -> TokenisedSplit:
    prompts = prompt_tokens(tokenizer, list(rows["record"]))
    texts = _plain(tokenizer, [" " + text for text in rows["text"]])
    full = [[*prompt, *text, tokenizer.eos_token_id] for prompt, text in zip(prompts, texts, strict=True)]
    kept = [tokens[:max_length] for tokens in full]
    return TokenisedSplit(
        tokens=_flat(kept),
        starts=_starts(kept),
        target_starts=np.array([min(len(prompt), max_length) for prompt in prompts], dtype=np.int64),
        truncated=sum(len(tokens) > max_length for tokens in full),
    )


def _flat(rows: list[list[int]]) -> np.ndarray:
    return np.array([token for tokens in rows for token in tokens], dtype=np.int64)


def _starts(rows: list[list[int]]) -> np.ndarray:
    return np.cumsum([0, *map(len, rows)], dtype=np.int64)


def _facts(split: TokenisedSplit) -> dict[str, Any]:
    lengths = np.diff(split.starts)
    facts = {
        "examples": len(split),
        "truncated": split.truncated,
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max(initial=0)),
        "mean_length": round(float(lengths.mean()), 4) if len(split) else 0.0,
    }
    return facts if split.target_starts is None else {**facts, "without_target": split.without_target()}
