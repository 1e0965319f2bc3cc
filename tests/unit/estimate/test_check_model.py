"""What `lmodp models check` says of every listed architecture, from a folder or from its configuration alone."""

import json

import pytest
from transformers import AutoConfig

from lmodp.cli import main
from lmodp.errors import DamagedFile, MissingFile
from lmodp.estimate import check_model as module
from lmodp.estimate.check_model import MOST, check_model
from lmodp.models.embedded import tiny_tokenizer

KINDS = ("electra", "modernbert", "gpt2", "qwen3")  # tests/oracles has all families, at one size
ONE_PART = {"full": "full"}


def write_config(folder, kind, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({"model_type": kind, **values}))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_listed_architecture_can_be_trained_as_a_whole(tmp_path, kind, monkeypatch):
    """At its default size, from the configuration alone: a rule for every layer, and errors of rounding only."""
    monkeypatch.setattr(module, "PARTS", ONE_PART)
    found = check_model(write_config(tmp_path, kind))
    assert {item["task"] for item in found["parts"]} == {
        "classification",
        *(["table_to_text"] if found["causal"] else []),
    }
    for item in found["parts"]:
        assert item["problem"] is None and item["trainable"] == item["total"] > 10**7
        assert 0 < item["norm_error"] < MOST and 0 < item["sum_error"] < MOST


def test_all_parts_of_a_folder(tmp_path, capsys):
    AutoConfig.for_model("distilbert", vocab_size=300, dim=16, hidden_dim=24, n_layers=2, n_heads=2).save_pretrained(
        tmp_path
    )
    assert main(["models", "check", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["part"] for item in found["parts"]] == ["full", "last_layers", "lora", "bitfit", "head"]
    assert all(item["problem"] is None for item in found["parts"]) and "tokenizer of" in found["files"]
    tiny_tokenizer().save_pretrained(tmp_path)
    assert main(["models", "check", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "the folder: has no *.safetensors: its weights cannot be loaded" in text and "can be trained" in text


def test_what_cannot_be_trained_is_told_with_its_reason(tmp_path, capsys):
    assert main(["models", "check", str(write_config(tmp_path, "llama")), "--json"]) == 0
    parts = {(item["task"], item["part"]): item for item in json.loads(capsys.readouterr().out)["parts"]}
    assert "has no bias terms. Choose another part" in parts["table_to_text", "bitfit"]["problem"]
    assert parts["classification", "lora"]["problem"] is None


def test_a_wrong_gradient_shows(tmp_path, monkeypatch):
    """Clipping that counts one example twice is far outside what rounding explains."""
    right = module.ClippingEngine.accumulate

    def twice(self, loss, batch, size):
        found = right(self, loss, batch, size)
        self.parameters[0].grad.mul_(1.01)
        return found

    monkeypatch.setattr(module.ClippingEngine, "accumulate", twice)
    monkeypatch.setattr(module, "PARTS", ONE_PART)
    (item,) = check_model(write_config(tmp_path, "bert"))["parts"]
    assert item["sum_error"] > MOST and item["problem"] == "its gradients are not those of explicit differentiation"


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(MissingFile, match="is neither a folder with a config.json nor such a file. Correct it"):
        check_model(tmp_path)
    with pytest.raises(DamagedFile, match="model_type is 'mine', which transformers does not have"):
        check_model(write_config(tmp_path, "mine"))
