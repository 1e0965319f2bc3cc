"""What a run trains: heads, parts, cached activations with the results of the whole model."""

import numpy as np
import pytest
import torch

from lmodp.activations import cache_activations
from lmodp.data.prepare import prepare_dataset
from lmodp.data.tokens import tokenize_dataset
from lmodp.evaluation.classification import unpack_correct
from lmodp.models.prepare import prepare_model
from lmodp.tasks import ClassificationTask, predict

SPEC = {"dataset": "made_up", "model": "tiny_roberta", "source": "embedded", "max_length": 12, "pooling": "mean", "threads": 1,
        "training": {"dropout": 0.0, "micro_batch_size": 7}}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare_dataset(SPEC, folder=folder / "d", cache_root=folder, data_root=None)
    prepare_model(SPEC, folder=folder / "m", cache_root=folder)
    tokenize_dataset(SPEC, dataset_folder=folder / "d", model_folder=folder / "m", folder=folder / "t")
    return folder


def task(prepared, trainable, cached=False, tmp_path=None):
    spec = {**SPEC, "trainable": trainable}
    if cached:
        cache_activations(spec, tokens_folder=prepared / "t", model_folder=prepared / "m", folder=tmp_path)
    return ClassificationTask(spec, model_folder=prepared / "m", tokens_folder=prepared / "t", activations_folder=tmp_path if cached else None)


@pytest.mark.parametrize("trainable", ["head", {"last_layers": 1}])
def test_cached_activations_give_the_logits_of_the_whole_model(prepared, tmp_path, trainable):
    whole, cached = task(prepared, trainable), task(prepared, trainable, True, tmp_path)
    _, running, _ = whole.model(3)
    _, rest, _ = cached.model(3)
    logits, labels = predict(running, whole.examples("test"), 9)
    again, same = predict(rest, cached.examples("test"), 9)
    np.testing.assert_allclose(again, logits, atol=2e-6)
    np.testing.assert_array_equal(same, labels)


def test_training_the_rest_trains_the_model(prepared, tmp_path):
    model, rest, summary = task(prepared, {"last_layers": 1}, True, tmp_path).model(0)
    inside = {id(value) for value in model.parameters() if value.requires_grad}
    assert inside and inside == {id(value) for value in rest.parameters() if value.requires_grad}
    assert summary["trainable"] == sum(value.numel() for value in model.parameters() if value.requires_grad)


def test_a_head_is_a_function_of_its_seed_alone(prepared):
    one = task(prepared, "head")
    first, again, other = (one.model(seed)[0].state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    changed = {name for name in first if not torch.equal(first[name], other[name])}
    assert changed == {"model.classifier.dense.weight", "model.classifier.out_proj.weight"}


def test_scores_are_those_of_the_predictions(prepared):
    one = task(prepared, "head")
    _, running, _ = one.model(1)
    scores = one.score(running)
    logits, labels = predict(running, one.examples("test"), 64)
    right = logits.argmax(1) == labels
    assert scores["examples"] == 64 and scores["accuracy"] == right.mean()
    np.testing.assert_array_equal(unpack_correct(scores["correct"], 64), right)
    assert 0 < right.sum() < 64
