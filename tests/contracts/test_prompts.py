"""Prompts with label words: what the model says without training, every trainable part, and what is exported."""

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

from lmodp.data.prompts import prompt_rows, word_tokens
from lmodp.data.tokens import load_tokenizer
from lmodp.errors import ConfigError, InvalidValue, Unsupported
from lmodp.grid.config import check_config
from lmodp.models.classifier import SequenceClassifier
from lmodp.models.label_words import load_prompted
from lmodp.pipeline.export_model import export_model
from lmodp.pipeline.job import runs_of
from lmodp.records.places import cell_path
from lmodp.records.record import read_record, read_runs
from lmodp.reporting.results.metrics import reference_cell
from lmodp.reporting.tables.comparison import references
from lmodp.reporting.tables.render import Notes
from lmodp.stages.finetune_model import load_trained, seeds_of
from tests.contracts.test_own_data import values_of, write_csv, write_model
from tests.contracts.tiny_models import CAUSAL, MASKED, tokenizer_of, write
from tests.contracts.whole_grid import run_grid

WORDS = ["drags", "shines", "patience"]


def head_of(kind):
    """A prompt and three words; a byte-level token begins with the blank before its word."""
    if kind in MASKED:
        return {"prompt": "{text} and it {mask} .", "words": WORDS}
    return {"prompt": "{text} it", "words": [f" {word}" for word in WORDS]}


def grid_of(folder, kind, **changes):
    values = values_of(folder, models={"own": {"from": kind}}, methods=["public_prompt", "gaussian"])
    experiment = {**values["experiments"]["head"], "model": "own", "pooling": None, "head": head_of(kind), **changes}
    experiment["training"] = {**experiment["training"], "steps": 3}
    return {**values, "experiments": {"head": experiment}}


def first_example(kind, tokenizer, text="the film drags"):
    """The inputs of one prompt, the place of its word, and the numbers of the words."""
    head = head_of(kind)
    rows, masks, _ = prompt_rows(tokenizer, head["prompt"], [[text]], 20)
    batch = {"input_ids": torch.tensor(rows), "attention_mask": torch.ones(1, len(rows[0]), dtype=torch.long)}
    return batch, -1 if masks is None else masks[0], word_tokens(tokenizer, head["words"])


def scores_of(task_model, batch, place):
    with torch.no_grad():
        return task_model(**batch, masks=None if place == -1 else torch.tensor([place]))


@pytest.mark.parametrize("kind", [*MASKED, *(kind for kind in CAUSAL if kind != "phi")])
def test_without_training_the_classes_score_as_the_words_do(tmp_path, kind):
    model = write(tmp_path / kind, kind)
    running = SequenceClassifier(
        load_prompted(tmp_path / kind, head_of(kind)["words"]), "mask" if kind in MASKED else "last"
    )
    batch, place, numbers = first_example(kind, load_tokenizer(tmp_path / kind))
    with torch.no_grad():
        expected = model(**batch).logits[:, place, numbers]
    torch.testing.assert_close(scores_of(running, batch, place), expected, rtol=1e-5, atol=1e-5)


PARTS = [("roberta", "head"), ("bert", {"last_layers": 1}), ("distilbert", "full"), ("electra", {"lora": {"rank": 2}})]
PARTS += [("qwen2", {"lora": {"rank": 2}}), ("gpt2", "bitfit")]


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=str)
def test_every_part_is_trained_scored_and_exported(tmp_path, kind, part):
    write_csv(tmp_path / "a.csv")
    model = write(tmp_path / kind, kind)
    layout, results = run_grid(grid_of(tmp_path, kind, trainable=part, max_length=20))
    prompt, trained = results["cells"]
    assert (prompt["status"], trained["status"]) == ("done", "done"), (prompt["reason"], trained["reason"])
    assert prompt["verified_upper"] == 0 and prompt["scores"]["accuracy"]["mean"] is not None
    _, (line,) = read_runs(cell_path(layout.results, prompt["cell"], "finetune_model"))
    assert line["steps"] == line["trainable_parameters"] == 0
    cell = layout.grid.cells[trained["cell"]]
    export_model(layout, cell, tmp_path / "saved")
    batch, place, numbers = first_example(kind, load_tokenizer(tmp_path / "saved"))
    runs = runs_of(layout, cell)
    runs.task.activations_folder = None  # the whole model, not what runs on cached outputs
    whole = load_trained(runs.task, seeds_of(cell.spec, 0)["head_init"], runs.weights(cell.runs[0])).eval()
    masked = kind in MASKED
    home = AutoModelForMaskedLM if masked else AutoModelForSequenceClassification
    with torch.no_grad():
        saved = home.from_pretrained(tmp_path / "saved", local_files_only=True).eval()(**batch).logits
        before = model(**batch).logits[:, place, numbers]
    saved = saved[:, place, numbers] if masked else saved
    torch.testing.assert_close(saved, scores_of(whole, batch, place), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(saved, before, atol=1e-4)
    assert "`{text}" in (tmp_path / "saved/README.md").read_text()


def test_the_outputs_of_a_frozen_model_are_computed_once(tmp_path):
    write_csv(tmp_path / "a.csv")
    model = write(tmp_path / "qwen2", "qwen2")
    layout, results = run_grid(grid_of(tmp_path, "qwen2", trainable="head", max_length=20))
    (activations,) = layout.grid.activations  # one for the prompt without training and for the head
    record = read_record(layout.results / "activations" / activations / "activations.json")
    assert record["pooled"] and record["splits"]["train"]["shape"][1] == 16
    assert {cell.activations for cell in layout.grid.active} == {activations}
    assert "prompt without training (ε = 0): accuracy" in references(results, "head", Notes())[1]
    export_model(layout, layout.grid.cells[results["cells"][0]["cell"]], tmp_path / "saved")
    batch, place, numbers = first_example("qwen2", load_tokenizer(tmp_path / "saved"))
    with torch.no_grad():
        saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", local_files_only=True)(**batch)
    torch.testing.assert_close(saved.logits, model(**batch).logits[:, place, numbers], rtol=1e-5, atol=1e-5)
    assert "No private example was read" in (tmp_path / "saved/README.md").read_text()


def test_without_a_prompt_its_row_says_so_and_is_not_taken_for_training(tmp_path):
    write_csv(tmp_path / "a.csv")
    values = values_of(tmp_path, methods=["public_prompt", "nonprivate"])
    values["experiments"]["head"]["training"]["steps"] = 2
    _, results = run_grid(values)
    assert reference_cell(results, "head")["method"] == "nonprivate"
    told = references(results, "head", Notes())
    assert "prompt without training (ε = 0): – (skipped: the experiment has no prompt" in told[1]
    assert told[2].startswith("non-private: accuracy")


def test_a_long_text_is_cut_and_its_prompt_is_not():
    tokenizer = tokenizer_of("bert")
    long, short = "the film " * 20, "shines"
    rows, masks, cut = prompt_rows(tokenizer, "{text} the film {mask} .", [[long, short, "a <mask> b"]], 12)
    assert cut == 1 and len(rows[0]) == 12 and [row.count(tokenizer.mask_token_id) for row in rows] == [1, 1, 1]
    assert all(tokenizer.decode(row[mask - 2 : mask]) == "the film" for row, mask in zip(rows, masks, strict=True))
    rows, masks, cut = prompt_rows(tokenizer, "{text2} {mask} {text}", [[short], [long]], 10)
    assert cut == 1 and len(rows[0]) == 10 and tokenizer.decode(rows[0][masks[0] + 1 :]) == "shines </s>"
    rows, masks, _ = prompt_rows(tokenizer, "{text} film", [[short]], 10)
    assert masks is None and tokenizer.decode(rows[0]) == "<s> shines film"  # no end: the word comes next
    for prompt, columns, length, message in (
        ("{text} it {mask}", [["a"], ["b"]], 9, "has places for 1 texts, the data have 2"),
        ("{text} it {mask}", [["a"]], 4, "max_length = 4: leaves no room for a text: the prompt alone has 4 tokens"),
    ):
        with pytest.raises(InvalidValue, match=message):
            prompt_rows(tokenizer, prompt, columns, length)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shines", "film shines"], "head.words = 'film shines': is 2 tokens"),
        (["shines", "SHINES"], "two words of one"),
    ],
)
def test_words_are_single_tokens(words, message):
    with pytest.raises(InvalidValue, match=message):
        word_tokens(tokenizer_of("bert"), words)


def test_models_without_the_head_of_words_are_refused(tmp_path):
    write_model(tmp_path / "bert")
    with pytest.raises(Unsupported, match="lacks .*, without which it cannot predict words"):
        load_prompted(tmp_path / "bert", WORDS)
    write(tmp_path / "phi", "phi")
    with pytest.raises(Unsupported, match="output matrix has a bias, which its classifier lacks"):
        load_prompted(tmp_path / "phi", head_of("phi")["words"])


@pytest.mark.parametrize(
    ("kind", "head", "message"),
    [
        ("qwen2", {"words": ["a", "b"]}, "must have one word for each of the 3 classes of mine: bad, good, so so"),
        ("qwen2", {"prompt": "it"}, "must hold {text} once, and {text2} once for pairs"),
        ("qwen2", {"prompt": "{text} {mask}"}, "must hold no {mask}: a causal model puts the word at the end"),
        ("bert", {"prompt": "{text} it"}, "must hold {mask} once, where a masked model puts the word"),
    ],
)
def test_prompts_that_cannot_be(tmp_path, kind, head, message):
    write_csv(tmp_path / "a.csv")
    write(tmp_path / kind, kind)
    with pytest.raises(ConfigError, match=message):
        check_config(grid_of(tmp_path, kind, head={**head_of(kind), **head}))
    with pytest.raises(ConfigError, match="pooling = 'mean': is decided by the prompt. Leave it out"):
        check_config(grid_of(tmp_path, kind, pooling="mean"))
