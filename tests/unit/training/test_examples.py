"""Example sources: padding, order, device."""

import numpy as np
import pytest
import torch

from lmodp.errors import InvalidValue
from lmodp.training.examples import TensorExamples, TokenColumns

ROWS = [[5, 6, 7], [8], [], [9, 10]]


def columns() -> TokenColumns:
    return TokenColumns({"input_ids": ROWS, "labels": ROWS}, padding={"input_ids": 1}, values={"label": [0, 1, 0, 1]})


def test_batches_are_padded_to_their_longest():
    batch = columns().batch(np.array([3, 1]))
    assert batch["input_ids"].tolist() == [[9, 10], [8, 1]]
    assert batch["labels"].tolist() == [[9, 10], [8, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batch["label"].tolist() == [1, 1]


def test_examples_without_tokens_are_all_padding():
    batch = columns().batch(np.array([2, 1]))
    assert batch["attention_mask"].tolist() == [[0], [1]] and batch["input_ids"].tolist() == [[1], [8]]


def test_no_examples():
    assert columns().batch(np.array([], dtype=np.int64))["input_ids"].shape == (0, 1)


def test_arranged_by_length_and_stable():
    examples = TokenColumns({"input_ids": [[1, 2], [1], [1, 2], [3]]}, padding={})
    assert examples.arrange(np.array([0, 1, 2, 3])).tolist() == [1, 3, 0, 2]


def test_ragged_columns_must_agree():
    with pytest.raises(InvalidValue, match="differ from the other columns"):
        TokenColumns({"input_ids": [[1, 2]], "labels": [[1]]}, padding={})


def test_tensor_examples_copy_rows():
    examples = TensorExamples({"x": torch.arange(6.0).view(3, 2), "labels": torch.arange(3)})
    batch = examples.batch(np.array([2, 0]))
    batch["x"][0] = -1
    assert examples.batch(np.array([2]))["x"].tolist() == [[4.0, 5.0]] and batch["labels"].tolist() == [2, 0]
    assert len(examples) == 3


def test_tensor_examples_must_agree():
    with pytest.raises(InvalidValue, match="one first dimension"):
        TensorExamples({"x": torch.zeros(3), "labels": torch.zeros(2)})


def test_no_example_is_told():
    with pytest.raises(InvalidValue, match=r"columns = \['input_ids'\]: hold no example"):
        TokenColumns({"input_ids": []}, padding={"input_ids": 1})
