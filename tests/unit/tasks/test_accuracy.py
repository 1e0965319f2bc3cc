"""F1 where a data set asks for it."""

import numpy as np
import pytest

from lmodp.tasks.accuracy import f1_score, score_classification


@pytest.mark.parametrize(
    ("predicted", "labels", "expected"),
    [
        ([1, 1, 0, 0], [1, 0, 1, 0], 0.5),  # one hit of two predicted and two true
        ([1, 1, 1, 0], [1, 1, 0, 0], 0.8),  # precision 2/3, recall 1
        ([0, 0], [0, 0], 0.0),
    ],
)
def test_f1(predicted, labels, expected):
    assert f1_score(np.array(predicted), np.array(labels)) == pytest.approx(expected)


def test_only_qqp_reports_it():
    logits, labels = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), np.array([1, 1, 0])
    assert score_classification(logits, labels, f1=True)["f1"] == pytest.approx(0.5)
    assert "f1" not in score_classification(logits, labels)
