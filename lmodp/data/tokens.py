"""The stage tokenize_dataset: sentences to token numbers, once per data set and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer

from lmodp.data.tables import load_splits
from lmodp.errors import InvalidValue, MissingFile


@dataclass(frozen=True)
class TokenisedSplit:
    """Ragged token numbers of one split.

    Args:
        tokens: all examples' tokens one after the other, shape (sum of lengths,), int64.
        starts: example i owns ``tokens[starts[i]:starts[i + 1]]``, shape (N + 1,), int64.
        labels: shape (N,), int64.
        truncated: how many examples were cut at the limit.
    """

    tokens: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    truncated: int

    def __len__(self) -> int:
        return len(self.labels)


def tokenize_dataset(spec: Mapping[str, Any], *, dataset_folder: Path, model_folder: Path, folder: Path) -> dict[str, Any]:
    """Tokenise every split and write one safetensors file a split.

    Args:
        spec: ``max_length`` counts the special tokens.
        dataset_folder: output of prepare_dataset.
        model_folder: output of prepare_model; holds the tokenizer.
        folder: where the files are written.

    Returns:
        The record's content: sizes, lengths and truncated examples by split.
    """
    tokenizer = load_tokenizer(model_folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    for name, rows in load_splits(dataset_folder).items():
        split = _tokenise(tokenizer, rows, spec["max_length"])
        save_file({"tokens": split.tokens, "starts": split.starts, "labels": split.labels}, folder / f"{name}.safetensors")
        lengths = np.diff(split.starts)
        facts[name] = {
            "examples": len(split),
            "truncated": split.truncated,
            "tokens": int(lengths.sum()),
            "longest": int(lengths.max(initial=0)),
            "mean_length": round(float(lengths.mean()), 4) if len(split) else 0.0,
        }
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


def load_tokens(folder: Path, split: str) -> TokenisedSplit:
    """Return a split that `tokenize_dataset` wrote.

    Raises:
        MissingFile: it is not there.
    """
    path = folder / f"{split}.safetensors"
    if not path.is_file():
        raise MissingFile(f"tokens = {str(path)!r}: is not there. Run the stage tokenize_dataset.")
    return TokenisedSplit(**load_file(path), truncated=0)


def _tokenise(tokenizer: Any, rows: Any, max_length: int) -> TokenisedSplit:
    columns = [list(rows[name]) for name in ("sentence", "sentence2") if name in rows.column_names]
    full = tokenizer(*columns, truncation=False, verbose=False)["input_ids"] if len(rows) else []
    kept = tokenizer(*columns, truncation=True, max_length=max_length)["input_ids"] if len(rows) else []
    return TokenisedSplit(
        tokens=np.array([token for tokens in kept for token in tokens], dtype=np.int64),
        starts=np.cumsum([0, *map(len, kept)], dtype=np.int64),
        labels=np.array(rows["label"], dtype=np.int64),
        truncated=sum(len(long) > len(short) for long, short in zip(full, kept, strict=True)),
    )
