"""From Python: a model is trained privately on a user's data, saved, loaded by transformers, and scores the same."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import lmodp
from lmodp.cli import main
from lmodp.errors import ConfigError, InvalidValue, Unsupported
from lmodp.models.classifier import SequenceClassifier
from lmodp.pipeline.export_model import fitting_model
from lmodp.stages.finetune_model import load_trained, seeds_of
from lmodp.tasks.table_to_text import TableToTextTask
from lmodp.training.step import PrivateStep
from tests.contracts.test_own_data import values_of, write_csv, write_model
from tests.contracts.tiny_models import build, tokenizer_of, write
from tests.contracts.whole_grid import run_grid

SMALL = {"expected_batch_size": 64, "max_steps": 6, "learning_rate": 1e-2, "max_length": 16}
TARGET = {"epsilon": 8, "delta": 1e-5}
COLUMNS = {"text": "review", "label": "stars"}


def rows_of(path):
    with path.open(encoding="utf-8-sig") as stream:
        return [(row["review"], row["stars"]) for row in csv.DictReader(stream, delimiter=";")]


def logits_of(model, tokenizer, texts):
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        found = model(**batch)
    return getattr(found, "logits", found)


def trained(result):
    """The model as the engine left it."""
    runs, seeds = result._runs, seeds_of(result.cell.spec, 0)
    return load_trained(runs.task, seeds["head_init"], runs.weights(result.cell.runs[0])).eval()


@pytest.mark.parametrize(
    "part", [{"trainable": "full"}, {"trainable": {"lora": {"rank": 2}}}, {"method": "bitfit"}], ids=str
)
def test_a_folder_and_a_csv_become_a_model_that_transformers_loads(tmp_path, part):
    write_csv(tmp_path / "a.csv")
    write(tmp_path / "qwen", "qwen2")
    out = tmp_path / "out"
    found = lmodp.finetune(tmp_path / "qwen", tmp_path / "a.csv", **COLUMNS, **part, output_dir=out, **TARGET, **SMALL)
    assert 0 < found.certificate["verified"]["upper"] <= 8 and found.record["verification"]["conforms"]
    found.save(tmp_path / "saved")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved", local_files_only=True)
    assert model.config.id2label == {0: "bad", 1: "good", 2: "so so"} and tokenizer.model_max_length == 16
    texts = [text for text, _ in rows_of(tmp_path / "a.csv")[:9]]
    logits = logits_of(model, tokenizer, texts)
    assert torch.equal(logits, logits_of(trained(found), tokenizer, texts))
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "qwen").get_input_embeddings().weight
    assert torch.equal(before, model.get_input_embeddings().weight) == (part != {"trainable": "full"})
    assert (tmp_path / "saved" / "adapter_model.safetensors").is_file() == ("lora" in str(part))
    if "method" in part:
        names = found.record["trained"]["names"]
        assert len(names) > 1 and all(name.endswith(("proj.bias", "score.weight")) for name in names)


def test_the_card_of_a_release_tells_the_certificate_and_nothing_of_the_data(tmp_path):
    write_csv(tmp_path / "a.csv")
    write_model(tmp_path / "bert")
    arguments = {**COLUMNS, **TARGET, **SMALL, "trainable": "head", "output_dir": tmp_path / "out"}
    found = lmodp.finetune(tmp_path / "bert", tmp_path / "a.csv", **arguments)
    found.save(tmp_path / "saved")
    card = (tmp_path / "saved/README.md").read_text()
    size = found.cell.spec.dataset_size
    for line in (
        f"| training examples (public) | N = {size} |",
        "| neighbouring data sets | add or remove one |",
        "| random numbers | keys from the system's entropy, kept nowhere |",
        "| δ | 1e-05 |",
    ):
        assert line in card
    verified = found.certificate["verified"]
    assert f"between {int(verified['lower'])}" in card and "not private" not in card
    assert "tags: [differential-privacy, lmodp]" in card and "The certificate covers" in card
    kept = json.loads((tmp_path / "saved/certificate.json").read_text())
    assert kept["certificate"] == found.certificate
    assert "accuracy" not in card
    assert 0 <= found.scores["accuracy"] <= 1
    weights = (tmp_path / "saved/model.safetensors").read_bytes()
    again = lmodp.finetune(tmp_path / "bert", tmp_path / "a.csv", **arguments)  # what is finished is not trained again
    again.save(tmp_path / "again")
    assert (tmp_path / "again/model.safetensors").read_bytes() == weights
    with pytest.raises(InvalidValue, match="output_dir = .*holds a model of other data or arguments.*Name another"):
        lmodp.finetune(tmp_path / "bert", tmp_path / "a.csv", **{**arguments, "clip_norm": 2.0})


def test_objects_of_other_libraries_are_taken(tmp_path):
    write_csv(tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    names = ["bad", "good", "so so"]
    features = Features({"id": Value("int64"), "review": Value("string"), "stars": ClassLabel(names=names)})
    columns = {
        "id": range(len(rows)),
        "review": [row[0] for row in rows],
        "stars": [names.index(row[1]) for row in rows],
    }
    data = Dataset.from_dict({name: list(values) for name, values in columns.items()}, features=features)
    config = LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj"])
    same = {
        **COLUMNS,
        **TARGET,
        **SMALL,
        "randomness": "seeded",
        "peft_config": config,
        "tokenizer": tokenizer_of("qwen2"),
    }
    first = lmodp.finetune(build("qwen2"), data, **same, output_dir=tmp_path / "one")
    spec = first.cell.spec
    assert spec.card.labels == ("bad", "good", "so so")
    assert spec.trainable == {"lora": {"rank": 3, "alpha": 6.0, "targets": ["q_proj"]}}
    frame = pd.DataFrame(rows, columns=["review", "stars"])
    second = lmodp.finetune(build("qwen2"), {"train": frame}, **same, output_dir=tmp_path / "two")
    assert second.cell.id == first.cell.id and second.record["sha256"] == first.record["sha256"]
    assert "This model is not private" in (tmp_path / "one/model/README.md").read_text() if first.model else False


def test_a_language_model_with_adapters_is_an_adapter_of_peft(tmp_path, monkeypatch):
    monkeypatch.setattr(TableToTextTask, "score", lambda self, model: {"perplexity": 1.0})  # needs Java, and seconds
    columns = {"from": [f"film | {number % 40}" for number in range(120)], "to": ["it shines", "it drags"] * 60}
    out = tmp_path / "out"
    found = lmodp.finetune(
        build("qwen2"),
        pd.DataFrame(columns),
        tokenizer=tokenizer_of("qwen2"),
        source="from",
        target="to",
        trainable={"lora": {"rank": 2}},
        output_dir=out,
        **TARGET,
        **{**SMALL, "max_steps": 2, "max_length": 32},
    )
    found.save(tmp_path / "saved")
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= {
        path.name for path in (tmp_path / "saved").iterdir()
    } and not (tmp_path / "saved/model.safetensors").exists()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", local_files_only=True).eval()
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, trained(found)(ids).logits)
        assert not torch.equal(model(ids).logits, build("qwen2")(ids).logits)


def test_a_cell_of_a_grid_is_exported(tmp_path, capsys):
    write_csv(tmp_path / "a.csv")
    write_model(tmp_path / "bert")
    values = values_of(tmp_path, models={"own": {"from": "bert"}}, methods=["gaussian"])
    experiment = values["experiments"]["head"]
    experiment |= {"model": "own", "pooling": None, "training": {**experiment["training"], "steps": 3}}
    (tmp_path / "own.yaml").write_text(json.dumps(values))
    layout, results = run_grid(values)
    assert main(["export", "head-gauss", str(tmp_path / "saved"), "--grid", str(tmp_path / "own.yaml")]) == 0
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved", local_files_only=True)
    part = layout.cache / "datasets" / layout.grid.active[0].dataset
    from datasets import load_from_disk

    test = load_from_disk(str(part))["test"]
    right = logits_of(model, tokenizer, list(test["sentence"])).argmax(1).numpy() == np.array(test["label"])
    assert right.mean() == pytest.approx(results["cells"][0]["scores"]["accuracy"]["mean"])
    card = (tmp_path / "saved/README.md").read_text()
    assert "**This model is not private.**" in card and "tags: [lmodp]" in card
    capsys.readouterr()
    assert main(["export", "head", str(tmp_path / "saved"), "--grid", str(tmp_path / "own.yaml")]) == 2
    assert "is there already. Name a new one" in capsys.readouterr().err
    (weights,) = (layout.cache / "cells").rglob("*.safetensors")
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    assert main(["export", "head", str(tmp_path / "other"), "--grid", str(tmp_path / "own.yaml")]) == 2
    assert "are not those of the record" in capsys.readouterr().err and not (tmp_path / "other").exists()


def test_a_pooling_that_no_class_of_transformers_has_is_not_exported():
    model = AutoModelForSequenceClassification.from_config(build("bert").config)
    with pytest.raises(Unsupported, match="pooling = 'mean': no class.*BertFor.*pools by 'first'.*Train with pooling"):
        fitting_model(SequenceClassifier(model, "mean"))
    assert fitting_model(SequenceClassifier(model, "first")) is model


WRONG = [
    ({"epsilon": 0}, ConfigError, "epsilon = 0: input should be greater than 0. Give a positive target"),
    ({"delta": 2}, ConfigError, "delta = 2: input should be less than 1"),
    ({"method": "gausian"}, ConfigError, "method = 'gausian': unknown method. Did you mean 'gaussian'"),
    ({"lr_scheduler_type": "cosine"}, ConfigError, "lr_scheduler_type = 'cosine': input should be 'constant'"),
    ({"expected_batch_size": 4000}, ConfigError, "expected_batch_size = 4000.*has 2.. training examples"),
    ({"num_train_epochs": -1, "max_steps": -1}, InvalidValue, "num_train_epochs = -1: must be finite and above 0"),
    ({"label": "rating"}, ConfigError, "lacks column rating; it has stars, review"),
    ({"delta": 0.2}, ConfigError, "delta = 0.2: is not below 1 / 2.., one over the training examples of data"),
    ({"max_length": 0}, ConfigError, "max_length = 0: input should be greater than or equal to"),
    ({"max_length": 1000}, InvalidValue, "max_length = 1000: is more than the model's 64 positions"),
    ({"test_size": 2}, ConfigError, "test_size = 2: input should be less than 1"),
    ({"trainable": {"lora": {"rank": 0}}}, ConfigError, "1 fault\n  rank = 0: input should be greater than or equal"),
    ({"trainable": {"lora": {}, "last_layers": 1}}, ConfigError, "does not go with the keys beside it. Leave one out"),
    ({"method": "opacus"}, Unsupported, "method = 'opacus': another engine's noise comes from seeds"),
    ({"peft_config": LoraConfig(use_rslora=True)}, InvalidValue, "peft_config.use_rslora = True: is not supported"),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG, ids=[next(iter(item[0])) for item in WRONG])
def test_what_is_wrong_is_told_by_the_arguments_name(tmp_path, changes, error, message):
    write_csv(tmp_path / "a.csv")
    write(tmp_path / "qwen", "qwen2")
    arguments = {**COLUMNS, **TARGET, **SMALL, "output_dir": tmp_path / "out", **changes}
    with pytest.raises(error, match=message):
        lmodp.finetune(tmp_path / "qwen", tmp_path / "a.csv", **arguments)


def test_a_folder_takes_another_call_until_a_run_has_begun(tmp_path, monkeypatch):
    write_csv(tmp_path / "a.csv")
    write(tmp_path / "qwen", "qwen2")
    arguments = {**COLUMNS, **TARGET, **SMALL, "trainable": "head"}
    with monkeypatch.context() as patched:
        patched.setattr("lmodp.stages.finetune_model.tune", refuse)
        with pytest.raises(Unsupported, match="skipped: a layer mixes examples"):
            lmodp.finetune(tmp_path / "qwen", tmp_path / "a.csv", **arguments, output_dir=tmp_path / "out")
    assert list((tmp_path / "out/records/cells").iterdir())
    lmodp.finetune(tmp_path / "qwen", tmp_path / "a.csv", **arguments, clip_norm=0.5, output_dir=tmp_path / "out")
    for path in (tmp_path / "out/cache/cells").rglob("*.safetensors"):
        path.unlink()  # the record alone tells of the release
    with pytest.raises(InvalidValue, match="output_dir = .*: holds a model of other data or arguments"):
        lmodp.finetune(tmp_path / "qwen", tmp_path / "a.csv", **arguments, clip_norm=2.0, output_dir=tmp_path / "out")
    with pytest.raises(InvalidValue, match="output_dir = .*a.csv': is a file. Name a folder"):
        lmodp.finetune(tmp_path / "qwen", tmp_path / "a.csv", **arguments, output_dir=tmp_path / "a.csv")


def refuse(*_):
    raise Unsupported("a layer mixes examples")


def test_models_and_tables_that_are_none(tmp_path):
    with pytest.raises(InvalidValue, match="tokenizer = None: is needed with a model object. Give its tokenizer"):
        lmodp.finetune(build("qwen2"), "a.csv", **TARGET, output_dir=tmp_path)
    with pytest.raises(InvalidValue, match="model = 'Linear': is no model of transformers. Give its folder"):
        lmodp.finetune(torch.nn.Linear(2, 2), "a.csv", **TARGET, output_dir=tmp_path)
    with pytest.raises(InvalidValue, match="data = 'list': is no table. Give a file"):
        lmodp.finetune("minilm_roberta", ["a"], **TARGET, output_dir=tmp_path)
    with pytest.raises(InvalidValue, match="column = 'text': is not in the data, which has a, label. Name another"):
        lmodp.finetune("minilm_roberta", pd.DataFrame({"a": ["x"], "label": [1]}), **TARGET, output_dir=tmp_path)


@pytest.mark.parametrize("part", [{"trainable": "bitfit"}, {"method": "bitfit"}], ids=str)
def test_a_part_that_cannot_be_trained_is_refused_before_any_work(tmp_path, part):
    write_csv(tmp_path / "a.csv")
    write(tmp_path / "llama", "llama")
    message = "trainable = 'bitfit': .*has no bias terms.* What can be trained: full, last_layers, lora, head."
    with pytest.raises(Unsupported, match=message):
        lmodp.finetune(tmp_path / "llama", tmp_path / "a.csv", **COLUMNS, **TARGET, **part, output_dir=tmp_path / "out")
    assert not (tmp_path / "out/records").exists()


def test_the_same_call_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    write_csv(tmp_path / "a.csv")
    arguments = {**COLUMNS, **TARGET, **SMALL, "tokenizer": tokenizer_of("qwen2"), "output_dir": tmp_path / "out"}
    arguments |= {"save_steps": 2, "trainable": {"lora": {"rank": 2}}}
    run, seen = PrivateStep.run, []

    def stopped(self, step):
        seen.append(step)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return run(self, step)

    monkeypatch.setattr(PrivateStep, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        lmodp.finetune(build("qwen2"), tmp_path / "a.csv", **arguments)
    (checkpoint,) = (tmp_path / "out/cache/cells").rglob("*.checkpoint")
    found = lmodp.finetune(build("qwen2"), tmp_path / "a.csv", **arguments)
    assert seen == [0, 1, 2, 3, 4, 4, 5] and found.record["runs"][0]["steps"] == 6
    assert not checkpoint.exists()  # it holds the key of the noise
