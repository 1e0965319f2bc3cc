"""Tokenized splits: how they are stored, read back, and turned into inputs of a model.

A record and its sentence become one sequence::

    GPT-2                       record, end of text, sentence, end of text
    different start and end     start, record, line break, sentence, end
    tokens

Only the sentence and its end count in the loss. The first form is that of Li et al.
2022 for GPT-2, whose only special token is both start and end.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from lmodp.errors import DamagedFile, InvalidValue, MissingFile, given, require
from lmodp.records.record import read_json

NO_TARGET = -100  # label of a token that does not count in the loss, as in transformers


@dataclass(frozen=True)
class TokenizedSplit:
    """Ragged token numbers of one split.

    Args:
        tokens: all examples' tokens one after the other, shape (sum of lengths,), int64.
        starts: example i owns ``tokens[starts[i]:starts[i + 1]]``, shape (N + 1,), int64.
        labels: class of each example, shape (N,), int64; None for table-to-text.
        target_starts: how many of an example's tokens precede its sentence, shape (N,), int64; None for classification.
        token_types: 0 in the first and 1 in the second sentence, shape as ``tokens``;
            None if the model has only one type, or examples have only one sentence.
        masks: place of the masked word in each example, shape (N,), int64; None without one.
        truncated: number of examples that were cut at the limit.
    """

    tokens: np.ndarray
    starts: np.ndarray
    labels: np.ndarray | None = None
    target_starts: np.ndarray | None = None
    token_types: np.ndarray | None = None
    masks: np.ndarray | None = None
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self) -> list[np.ndarray]:
        """Return each example's tokens."""
        return np.split(self.tokens, self.starts[1:-1])

    def columns(self) -> dict[str, list[np.ndarray]]:
        """Return the model's inputs for each example, by argument name."""
        types = {} if self.token_types is None else {"token_type_ids": np.split(self.token_types, self.starts[1:-1])}
        return {"input_ids": self.rows(), **types}

    def target_rows(self) -> list[np.ndarray]:
        """Return each example's labels: its tokens, `NO_TARGET` before the sentence."""
        rows = [row.copy() for row in self.rows()]
        for row, start in zip(rows, self._target_starts(), strict=True):
            row[:start] = NO_TARGET
        return rows

    def without_target(self) -> int:
        """Return how many examples were cut before their sentence; their loss is 0."""
        return int((self._target_starts() >= np.diff(self.starts)).sum())

    def _target_starts(self) -> np.ndarray:
        return given(self.target_starts, "target_starts", "is in tokens of a table-to-text data set only")


def load_tokenizer(model_folder: Path) -> Any:
    """Return the tokenizer of a model folder.

    Raises:
        DamagedFile: its files are not there or not readable, or it has tokens that the model has no embedding for.
        InvalidValue: it has no padding token, and no other token can replace it.
    """
    place = f"tokenizer of {str(model_folder)!r}"
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DamagedFile(f"{place}: cannot be read ({reason}). Put all its files beside config.json.") from None
    numbers = tokenizer.get_vocab()
    # Without its files transformers answers with special tokens alone, and every sentence reads the same.
    if set(numbers) <= set(tokenizer.all_special_tokens):
        raise DamagedFile(f"{place} = {len(numbers)} special tokens: has no words. Put its files beside config.json.")
    rows = read_json(model_folder / "config.json").get("vocab_size")
    if rows is not None and max(numbers.values()) >= rows:
        rule = f"the model has embeddings for {rows}, numbers 0 to {rows - 1}. Use the model's own tokenizer"
        raise DamagedFile(f"{place} = {len(numbers)} tokens up to number {max(numbers.values())}: {rule}.")
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise InvalidValue(f"{place} = no padding token: batches cannot be padded. Set pad_token.")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_tokens(folder: Path, split: str) -> TokenizedSplit:
    """Return a split that `tokenize_dataset` wrote; raise `MissingFile` if it is not there."""
    path = folder / f"{split}.safetensors"
    if not path.is_file():
        raise MissingFile(f"tokens = {str(path)!r}: does not exist. Run the stage tokenize_dataset.")
    columns: dict[str, Any] = load_file(path)
    return TokenizedSplit(**columns)


def load_references(folder: Path, split: str) -> dict[str, list[str]]:
    """Return all references of each distinct record of a split, in order of first appearance."""
    return read_json(folder / f"{split}.references.json")


def prompt_tokens(tokenizer: Any, records: list[str]) -> list[list[int]]:
    """Return the tokens before the sentence of each record, separator included."""
    require(tokenizer.eos_token_id is not None, "tokenizer.eos_token", None, "is needed to end a sentence")
    if not records:
        return []
    single = tokenizer.bos_token_id in (None, tokenizer.eos_token_id)
    before, after = (
        ([], [tokenizer.eos_token_id]) if single else ([tokenizer.bos_token_id], plain_tokens(tokenizer, ["\n"])[0])
    )
    return [[*before, *tokens, *after] for tokens in plain_tokens(tokenizer, [" " + record for record in records])]


def plain_tokens(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Return the tokens of texts, without special tokens and without cutting."""
    return tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
