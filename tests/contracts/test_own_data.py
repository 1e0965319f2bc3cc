"""A CSV of the user's own goes from the configuration to a row of the table."""

import csv
import random
import shutil

import pytest
import torch
from transformers import BertConfig, BertModel

from lmodp.data.embedded import ENDINGS, NEGATIVE, POSITIVE, SUBJECTS
from lmodp.errors import ConfigError, DamagedFile
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.models.embedded import tiny_tokenizer
from lmodp.pipeline.layout import Layout
from lmodp.records.record import read_record
from tests.contracts.whole_grid import run_grid, run_job


def write_csv(path, rows=240, classes=(NEGATIVE, POSITIVE, ENDINGS[1:])):
    """Sentences of three classes, told apart by their words, as a spreadsheet exports them."""
    draw = random.Random("own data")
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["stars", "review"])
        for number in range(rows):
            says = draw.choice(classes[number % 3])
            writer.writerow([("bad", "good", "so so")[number % 3], f"{draw.choice(SUBJECTS)} {says} {number}"])


def values_of(folder, **changes):
    return {
        "grid": "own",
        "results_root": str(folder / "results"),
        "cache_root": str(folder / "cache"),
        "data_root": str(folder),
        "methods": ["nonprivate", "gaussian"],
        "privacy": {"epsilon": [3], "delta": ["1e-6"], "calibrations": ["verified"]},
        "datasets": {
            "mine": {
                "task": "classification",
                "files": {"train": "a.csv"},
                "text": "review",
                "label": "stars",
                "split_off": {"test": 0.25},
            }
        },
        "experiments": {
            "head": {
                "title": "head on my reviews",
                "dataset": "mine",
                "model": "tiny_roberta",
                "trainable": "head",
                "pooling": "mean",
                "max_length": 12,
                "training": {"expected_batch_size": 60, "steps": 30, "learning_rate": "3e-2"},
            }
        },
        **changes,
    }


def write_model(folder):
    """A tiny BERT with random weights, saved as transformers saves one."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=300, max_position_embeddings=64, pad_token_id=0, **sizes)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


def test_three_classes_and_a_model_folder_from_files_to_scores(tmp_path):
    write_csv(tmp_path / "a.csv")
    write_model(tmp_path / "bert")
    values = values_of(tmp_path, models={"own_bert": {"from": "bert"}})
    values["experiments"]["head"]["model"] = "own_bert"
    layout, results = run_grid(values)
    grid = layout.grid
    (dataset,) = grid.datasets
    record = read_record(layout.results / "datasets" / dataset / "dataset.json")
    size = record["sizes"]["train"]
    assert record["labels"] == ["bad", "good", "so so"] and size + record["sizes"]["test"] == 240
    assert {cell.spec.dataset_size for cell in grid.active} == {size} and record["evaluation_in_training"] == 0
    scores = {row["method"]: row["scores"]["accuracy"]["mean"] for row in results["cells"]}
    assert scores["nonprivate"] > 0.6  # three equal classes: 0.33 by chance
    (mechanism,) = [name for name, spec in grid.mechanisms.items() if spec.calibration]
    certificate = read_record(layout.results / "mechanisms" / mechanism / "certificate.json")
    assert certificate["rests_on"].startswith(f"N = {size} training examples: the sampling rate is 60 / {size}")
    assert certificate["spec"]["dataset_size"] == size
    (model,) = grid.models
    assert read_record(layout.results / "models" / model / "model.json")["architecture"] == "bert"
    assert results["experiments"]["head"]["model"] == "own_bert"


def test_a_model_is_what_its_folder_holds(tmp_path):
    write_csv(tmp_path / "a.csv")
    write_model(tmp_path / "bert")
    values = values_of(tmp_path)
    values["experiments"]["head"]["model"] = "own"

    def model_of(**own):
        (spec,) = Grid(check_config({**values, "models": {"own": own}})).models.values()
        return spec

    first = model_of(**{"from": "bert"})
    shutil.copytree(tmp_path / "bert", tmp_path / "elsewhere")
    assert model_of(**{"from": str(tmp_path / "elsewhere")}) == first and first.own_model["architecture"] == "bert"
    weights = tmp_path / "bert/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert model_of(**{"from": "bert"}).id != first.id
    layout = Layout.from_values({**values, "models": {"own": {"from": "elsewhere"}}})
    (tmp_path / "elsewhere/added.json").write_text("{}")
    with pytest.raises(DamagedFile, match="model = 'own': has changed since the configuration was read"):
        run_job(layout, "prepare_model", first.id)
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "cache/hub/models--somebody--bert/snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "gpt2"}')  # all that a plan needs
    spec = model_of(**{"from": "somebody/bert", "revision": commit})
    assert spec.source == "hub" and spec.own_model == {"architecture": "gpt2", "causal": True, "content": commit}


def test_models_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/config.json").write_text("{}")
    write_csv(tmp_path / "a.csv")
    values = values_of(tmp_path)
    values["experiments"]["head"]["model"] = "own"
    for own, message in (
        ({"from": "empty"}, "from = 'empty': is no folder with a config.json. Correct the path; a repository of a hub"),
        ({"from": "odd"}, "names no model_type. Save the model with transformers"),
        ({"frm": "odd"}, "unknown key. Did you mean 'from'"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_config({**values, "models": {"own": own}})
    with pytest.raises(ConfigError, match="models.gpt2 = '...': is a name that the suite knows already"):
        check_config({**values, "models": {"gpt2": {"from": "odd"}, "own": {"from": "odd"}}})


def test_ids_follow_the_rows_and_not_the_files(tmp_path):
    write_csv(tmp_path / "a.csv")

    def cells(**changes):
        return sorted(Grid(check_config(values_of(tmp_path, **changes))).cells)

    first = cells()
    (tmp_path / "b.csv").write_text((tmp_path / "a.csv").read_text("utf-8-sig").replace(";", ",").replace("\r\n", "\n"))
    other = values_of(tmp_path)["datasets"]
    other["mine"]["files"] = {"train": str(tmp_path / "b.csv")}
    assert cells(datasets=other) == first
    lines = (tmp_path / "a.csv").read_text("utf-8-sig").splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*lines[:-1], lines[-1] + " more"]) + "\n")
    assert not set(cells()) & set(first)


def test_a_release_tells_no_hash_of_the_rows(tmp_path):
    write_csv(tmp_path / "a.csv")
    seeded = check_config(values_of(tmp_path))
    release, again = (check_config(values_of(tmp_path, randomness="entropy")) for _ in range(2))
    assert release.own_data == again.own_data  # one secret per cache
    assert not {*release.own_data["mine"]["sha256"].values()} & {*seeded.own_data["mine"]["sha256"].values()}
    elsewhere = check_config(values_of(tmp_path, randomness="entropy", cache_root=str(tmp_path / "other")))
    assert elsewhere.own_data != release.own_data


def test_data_that_changed_under_way_are_refused(tmp_path):
    write_csv(tmp_path / "a.csv")
    layout = Layout.from_values(values_of(tmp_path))
    (dataset,) = layout.grid.datasets
    write_csv(tmp_path / "a.csv", rows=243)
    with pytest.raises(DamagedFile, match="has changed since the configuration was read. Start again"):
        run_job(layout, "prepare_dataset", dataset)
