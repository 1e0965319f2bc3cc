"""The table-to-text task end to end on a handful of records, with a model that can learn them by heart."""

from dataclasses import replace

import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from lmodp.data.tokenize_dataset import tokenize_dataset
from lmodp.data.tokens import NO_TARGET
from lmodp.models.folders import write_model
from lmodp.models.pretraining import PretrainingSettings, train_tokenizer
from lmodp.plan import Plan
from lmodp.specs import TaskSpec
from lmodp.tasks import generation_scores as generation
from lmodp.tasks.table_to_text import TableToTextTask
from lmodp.training import TrainingSettings, train

RECORDS = [
    f"name : {name} | kind : {kind}" for name in ("Old Bell", "Red Harp", "Wild Rook") for kind in ("diner", "tavern")
]
TEXTS = [f"{record.split(' | ')[0][7:]} is a very good {record[record.rindex(':') + 2 :]}." for record in RECORDS]
SPEC = {"dataset": "venues", "max_length": 60}
TASK = TaskSpec(
    dataset="venues",
    trainable="full",
    batch_size=4,
    generation={"num_beams": 2, "max_new_tokens": 30, "batch_size": 4},
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    rows = {"record": RECORDS, "text": TEXTS}
    splits = {
        "train": Dataset.from_dict(rows),
        "test": Dataset.from_dict({key: values * 2 for key, values in rows.items()}),
    }
    DatasetDict(splits).save_to_disk(str(folder / "d"))
    tokenizer = train_tokenizer(RECORDS + TEXTS, PretrainingSettings(vocabulary=330))
    torch.manual_seed(0)
    config = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    write_model(
        GPT2LMHeadModel(GPT2Config(n_positions=96, n_embd=48, n_layer=2, n_head=4, **config)), tokenizer, folder / "m"
    )
    llama = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=96,
        tie_word_embeddings=True,
        **config,
    )
    write_model(LlamaForCausalLM(llama), tokenizer, folder / "l")
    tokenize_dataset(SPEC, dataset_folder=folder / "d", model_folder=folder / "m", folder=folder / "t")
    return folder


@pytest.fixture(autouse=True)
def without_java(monkeypatch):
    monkeypatch.setattr(generation, "why_no_java", lambda: "left out of this test")


def task(prepared, model="m", **changes):
    return TableToTextTask(replace(TASK, **changes), model_folder=prepared / model, tokens_folder=prepared / "t")


def fitted(made, steps):
    model, running, summary = made.model(7)
    plan = Plan.for_batches(expected_batch_size=6, dataset_size=6, steps=steps, noise=None, clip_norm=1.0)
    train(
        running,
        plan=plan,
        examples=made.examples("train"),
        loss=made.loss,
        settings=TrainingSettings(learning_rate=1e-2, micro_batch_size=3),
        seeds={"sampling": 1, "dropout": 1, "noise": 1},
    )
    return model


def test_learning_by_heart_scores_full_marks(prepared):
    made = task(prepared)
    before = made.score(made.model(7)[0])
    after = made.score(fitted(made, 150))
    assert before["perplexity"] > 50 and before["bleu"] < 20
    assert after["perplexity"] < 1.05 and after["bleu"] == 100.0
    assert after["examples"] == 6  # distinct records, though the split has twelve rows
    assert after["target_tokens"] == before["target_tokens"]
    assert after["samples"][0] == {"record": RECORDS[0], "output": TEXTS[0], "reference": TEXTS[0]}
    assert after["decoding"]["num_beams"] == 2 and after["reasons"]["meteor"] == "left out of this test"


def test_only_so_many_records_are_said(prepared):
    made = task(prepared, generation={"num_beams": 1, "max_new_tokens": 4, "records": 2})
    assert made.score(made.model(7)[0])["examples"] == 2


def test_labels_are_the_sentence(prepared):
    made = task(prepared)
    batch = made.examples("train").batch([0, 3])
    labels = batch["labels"][0]
    assert made.tokenizer.decode(labels[labels != NO_TARGET]) == f" {TEXTS[0]}<|endoftext|>"
    assert (batch["input_ids"][batch["attention_mask"] == 0] == 0).all()


def test_adapters_in_half_precision(prepared):
    made = task(
        prepared,
        "l",
        trainable={"lora": {"rank": 2, "alpha": 4}},
        precision="bfloat16",
    )
    model, running, summary = made.model(7)
    trained = [value for value in running.parameters() if value.requires_grad]
    assert summary["trainable"] == sum(value.numel() for value in trained) == 2 * 2 * 2 * (32 * 2)
    assert {value.dtype for value in trained} == {torch.float32}
    assert {value.dtype for value in running.parameters() if not value.requires_grad} == {torch.bfloat16}
    assert made.score(model)["perplexity"] > 1
