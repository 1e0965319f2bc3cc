"""Local and hub models: folders in a hub's layout, linked; every fault has one message."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from huggingface_hub import constants
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from lmodp.data.source_settings import SourceSettings
from lmodp.data.tokens import load_tokenizer
from lmodp.errors import DamagedFile, InvalidValue, LmodpError, MissingFile
from lmodp.models import folders
from lmodp.models.cards import MODELS, ModelCard
from lmodp.models.folders import link_model
from lmodp.models.prepare_model import RECIPES, load_language_model, prepare_model

SMALL = {
    "vocab_size": 40,
    "n_positions": 16,
    "n_embd": 8,
    "n_layer": 2,
    "n_head": 2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def tokenizer(**special):
    made = Tokenizer(models.WordLevel({"<e>": 0, "a": 1}, unk_token="<e>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def put_gpt2(folder, **special):
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(**SMALL))
    model.save_pretrained(folder)
    tokenizer(**(special or {"eos_token": "<e>"})).save_pretrained(folder)
    return model


@pytest.fixture
def card(monkeypatch):
    """The card of GPT-2 with the size of a very small one."""
    size = sum(value.numel() for value in GPT2LMHeadModel(GPT2Config(**SMALL)).parameters())
    made = ModelCard(name="gpt2", title="GPT-2", architecture="gpt2", config=SMALL, parameters=size)
    monkeypatch.setitem(MODELS, "gpt2", made)
    return made


def test_a_local_model_is_linked_and_equal(tmp_path, card):
    model = put_gpt2(tmp_path / "root" / "models" / "gpt2")
    spec = {"model": "gpt2", "source": "local"}
    record = prepare_model(spec, folder=tmp_path / "made", cache_root=tmp_path, data_root=tmp_path / "root")
    assert record["parameters"] == card.parameters and record["layers"] == 2
    assert set(record["files"]) == {"model.safetensors"}
    assert (tmp_path / "made" / "model.safetensors").is_symlink()
    assert load_tokenizer(tmp_path / "made").pad_token_id == 0
    assert json.loads((tmp_path / "made" / "config.json").read_text())["pad_token_id"] == 0
    made = load_language_model(tmp_path / "made")
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(made(ids).logits, model.eval()(ids).logits)


def test_its_folder_may_have_another_name(tmp_path, card):
    put_gpt2(tmp_path / "mine")
    settings = SourceSettings(local_models={"gpt2": "mine"})
    prepare_model(
        {"model": "gpt2", "source": "local"},
        folder=tmp_path / "made",
        cache_root=tmp_path,
        data_root=tmp_path,
        settings=settings,
    )
    assert (tmp_path / "made" / "config.json").is_file()


def test_from_the_hubs_cache_at_a_pinned_revision(tmp_path, card, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    revision = "0123456789abcdef0123456789abcdef01234567"
    model = put_gpt2(tmp_path / "source")
    base = tmp_path / "hub" / "models--openai-community--gpt2"
    (base / "blobs").mkdir(parents=True)
    (base / "snapshots" / revision).mkdir(parents=True)
    for path in (tmp_path / "source").iterdir():
        blob = base / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (base / "snapshots" / revision / path.name).symlink_to(blob)
    spec, settings = {"model": "gpt2", "source": "hub"}, SourceSettings(hub_revisions={"gpt2": revision})
    record = prepare_model(spec, folder=tmp_path / "made", cache_root=tmp_path, settings=settings)
    assert record["parameters"] == card.parameters
    assert torch.equal(load_language_model(tmp_path / "made").lm_head.weight, model.lm_head.weight)
    with pytest.raises(LmodpError, match="is not in the cache .there: 0123456789ab."):
        prepare_model(spec, folder=tmp_path / "made", cache_root=tmp_path)


def test_a_masked_language_model_serves_as_encoder(tmp_path):
    config = RobertaConfig(
        vocab_size=40,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
        type_vocab_size=1,
    )
    RobertaForMaskedLM(config).save_pretrained(tmp_path / "source")
    tokenizer(pad_token="<e>").save_pretrained(tmp_path / "source")
    card = ModelCard(name="roberta_base", title="RoBERTa", architecture="roberta", config={})
    facts = link_model(tmp_path / "source", tmp_path / "made", card)
    assert facts["layers"] == 2
    assert AutoModel.from_pretrained(tmp_path / "made", local_files_only=True).config.pad_token_id == 0


def test_weights_in_several_files(tmp_path, card):
    put_gpt2(tmp_path / "one").save_pretrained(tmp_path / "many", max_shard_size="2KB")
    tokenizer(eos_token="<e>").save_pretrained(tmp_path / "many")
    facts = link_model(tmp_path / "many", tmp_path / "made", card)
    assert len(facts["files"]) > 1
    assert torch.equal(
        load_language_model(tmp_path / "made").lm_head.weight, load_language_model(tmp_path / "one").lm_head.weight
    )


def damage(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_faults(tmp_path, card):
    source, made = tmp_path / "source", tmp_path / "made"
    with pytest.raises(MissingFile, match="does not exist. Put the model there, or give its folder under local_models"):
        link_model(source, made, card)
    source.mkdir()
    with pytest.raises(MissingFile, match="must hold config.json, the tokenizer's files and \\*.safetensors"):
        link_model(source, made, card)
    put_gpt2(source)
    damage(source, "config.json", n_layer=1)
    with pytest.raises(DamagedFile, match=r"parameters: must be \d+. The weights are other ones"):
        link_model(source, made, card)
    damage(source, "config.json", model_type="bert")
    with pytest.raises(DamagedFile, match="model_type is 'bert', gpt2 is 'gpt2'"):
        link_model(source, made, card)
    put_gpt2(source)
    (source / "model.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(DamagedFile, match="is not a safetensors file"):
        link_model(source, made, card)
    assert not made.exists()


def test_weights_that_are_not_finite_are_found_when_a_model_is_prepared(tmp_path, card, monkeypatch):
    model = put_gpt2(tmp_path / "source")
    model.transformer.h[1].mlp.c_fc.bias.data[3] = torch.nan
    model.save_pretrained(tmp_path / "source")
    with pytest.raises(InvalidValue, match=r"weights \S*h.1.mlp.c_fc.bias = .*: 1 of 32 numbers are not finite"):
        link_model(tmp_path / "source", tmp_path / "made", card)
    monkeypatch.setitem(MODELS, "gpt2", replace(card, recipe="random"))
    monkeypatch.setitem(RECIPES, "random", lambda card, cache: (model, tokenizer(eos_token="<e>"), {}))
    spec = {"model": "gpt2", "source": "embedded"}
    with pytest.raises(InvalidValue, match=r"weights \S*h.1.mlp.c_fc.bias = "):
        prepare_model(spec, folder=tmp_path / "made", cache_root=tmp_path)
    assert not (tmp_path / "made").exists()


def test_missing_tensors(tmp_path, card, monkeypatch):
    put_gpt2(tmp_path / "source")
    damage(tmp_path / "source", "config.json", n_layer=3)
    monkeypatch.setattr(folders, "check_size", lambda card, parameters: None)
    with pytest.raises(DamagedFile, match="lack 12 tensors, h.2.attn.c_attn.bias among them"):
        link_model(tmp_path / "source", tmp_path / "made", card)


def test_a_tokenizer_without_padding_or_end(tmp_path, card):
    put_gpt2(tmp_path / "source", unk_token="<e>")
    with pytest.raises(InvalidValue, match="no padding token: batches cannot be padded"):
        link_model(tmp_path / "source", tmp_path / "made", card)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"model": "minilm_bert", "source": "hub"}, "'hub': is not offered for model 'minilm_bert'. Use embedded"),
        ({"model": "gpt2", "source": "embedded"}, "no package holds the weights of 'gpt2'. Use local or hub"),
        ({"model": "gpt2", "source": "local"}, "Set data_root in the config"),
        ({"model": "bert_large", "source": "hub"}, "hub_revisions.bert_large = None"),
        ({"model": "minilm_bert", "source": "embedded", "layers": 2}, "model 'minilm_bert' is used whole"),
    ],
)
def test_faults_of_the_request(tmp_path, spec, message):
    with pytest.raises(LmodpError, match=message):
        prepare_model(spec, folder=tmp_path / "made", cache_root=tmp_path)


def test_every_card_names_a_recipe_that_is_there_or_none():
    assert {card.recipe for card in MODELS.values()} == {*RECIPES, None}
    assert all((card.recipe is None) == card.published for card in MODELS.values())


def test_a_users_own_damaged_files_are_not_called_the_suites(tmp_path, card):
    put_gpt2(tmp_path / "source")
    (tmp_path / "source" / "tokenizer.json").unlink()
    with pytest.raises(DamagedFile, match="Put (all )?its files beside config.json"):
        link_model(tmp_path / "source", tmp_path / "made", card)
    (tmp_path / "source" / "config.json").write_text('{"model_type":')
    with pytest.raises(DamagedFile, match="config.json': is not valid JSON .*Fetch or repair it; if a stage"):
        link_model(tmp_path / "source", tmp_path / "made", card)
