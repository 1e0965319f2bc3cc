"""The examples run as they are written, on tiny models; each is short and linked from the README."""

import csv
import runpy

import pytest
import torch
from transformers import AutoModelForCausalLM

from lmodp.tasks.table_to_text import TableToTextTask
from tests.contracts.small_world import ROOT
from tests.contracts.test_own_data import write_csv
from tests.contracts.tiny_models import write

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SMALL = {"max_steps": 3, "expected_batch_size": 40, "max_length": 32}


def main_of(name):
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["main"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_linked(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60 and f"python examples/{path.name} " in lines[2]
    assert f"(examples/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_classifier_from_a_csv(tmp_path, capsys):
    write_csv(tmp_path / "a.csv")
    rows = (tmp_path / "a.csv").read_text(encoding="utf-8-sig").replace("stars;review", "label;text")
    (tmp_path / "b.csv").write_text(rows, encoding="utf-8")
    write(tmp_path / "distilbert", "distilbert")
    part = {"last_layers": 1}
    places = {"folder": tmp_path / "saved", "output_dir": tmp_path / "out"}
    main_of("classify_csv")(tmp_path / "b.csv", model=tmp_path / "distilbert", trainable=part, **places, **SMALL)
    told = capsys.readouterr().out
    assert "spent: epsilon at most 3 at delta 1e-05" in told and (tmp_path / "saved/README.md").is_file()
    assert any(f"'the film shines' is {label}" in told for label in ("bad", "good", "so so"))


def test_adapters_of_a_language_model(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(TableToTextTask, "score", lambda self, model: {"perplexity": 1.0})  # needs Java, and seconds
    write(tmp_path / "qwen", "qwen2")
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        rows = [(f"name : {number % 60}", f"the film {word}") for number in range(90) for word in ("shines", "drags")]
        csv.writer(stream).writerows([("source", "target"), *rows])
    places = {"folder": tmp_path / "saved", "output_dir": tmp_path / "out"}
    found = main_of("adapters")(tmp_path / "a.csv", tmp_path / "qwen", **places, **SMALL)
    assert "example protected, epsilon 7.9" in capsys.readouterr().out
    ids = torch.arange(3, 9)[None]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", local_files_only=True)
    assert torch.equal(loaded(ids).logits, found.model(ids).logits)


@pytest.mark.parametrize(
    ("name", "verdict"), [("lmo-0.3", "broken: the claim is too small by a factor of at least 3.6")]
)
def test_a_verdict(name, verdict, capsys):
    assert main_of("verdict")(name) == verdict
    assert "verified: [0.563, 0.596]" in capsys.readouterr().out
