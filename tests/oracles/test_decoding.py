"""Beam search against looking at every sentence, and batches against single prompts."""

from itertools import product

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from lmodp.errors import InvalidValue
from lmodp.tasks import decoding
from lmodp.tasks.decoding import DecodingSettings, generate_sentences, pad_left

VOCABULARY, END, PAD = 6, 0, 5


class Numbers:
    """A tokenizer whose text is the token numbers."""

    eos_token_id, pad_token_id = END, PAD

    def batch_decode(self, rows, skip_special_tokens):
        return [" ".join(str(int(token)) for token in row if int(token) not in (END, PAD)) for row in rows]


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        initializer_range=0.7,
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=24,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.7,
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    return GPT2LMHeadModel(config).eval()


def log_probability(model, prompt, sentence):
    logits = model(torch.tensor([[*prompt, *sentence]])).logits[0].double().log_softmax(-1)
    return sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(sentence))


def all_sentences(length):
    """Sentences that end, and those cut at the length."""
    inner = [token for token in range(VOCABULARY) if token != END]
    for size in range(length):
        yield from ((*words, END) for words in product(inner, repeat=size))
    yield from product(inner, repeat=length)


@torch.no_grad()
def best(model, prompt, length, penalty):
    return max(all_sentences(length), key=lambda words: log_probability(model, prompt, words) / len(words) ** penalty)


@pytest.mark.parametrize("prompt", [[1, 2], [4, 4, 1], [3]])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_wide_beams_find_the_best_sentence(model, prompt, penalty):
    settings = DecodingSettings(num_beams=VOCABULARY**2, max_new_tokens=3, length_penalty=penalty)
    found = generate_sentences(model, [prompt], tokenizer=Numbers(), settings=settings)[0]
    words = [token for token in best(model, prompt, 3, penalty) if token not in (END, PAD)]
    assert found == " ".join(map(str, words))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", ["model", "llama"])
def test_neighbours_and_padding_change_nothing(name, beams, request):
    model = request.getfixturevalue(name)
    prompts = [[1, 2, 3, 4, 1, 2], [3], [2, 2, 4], [4, 1], [1]]
    single, batched = (
        generate_sentences(
            model,
            prompts,
            tokenizer=Numbers(),
            settings=DecodingSettings(num_beams=beams, max_new_tokens=8, batch_size=size),
        )
        for size in (1, 3)
    )
    assert single == batched
    assert len(set(single)) > 1


@pytest.mark.parametrize("name", ["model", "llama"])
def test_padding_that_is_not_masked_would_show(name, request, monkeypatch):
    """The test above can fail: unmasked padding changes what both models say."""
    model, prompts = request.getfixturevalue(name), [[1, 2, 3, 4, 1, 2], [3], [2, 2, 4], [4, 1], [1]]
    settings = DecodingSettings(num_beams=1, max_new_tokens=8, batch_size=5)
    masked = generate_sentences(model, prompts, tokenizer=Numbers(), settings=settings)
    monkeypatch.setattr(
        decoding,
        "pad_left",
        lambda rows, pad: {**pad_left(rows, pad), "attention_mask": torch.ones_like(pad_left(rows, pad)["input_ids"])},
    )
    assert generate_sentences(model, prompts, tokenizer=Numbers(), settings=settings) != masked


def test_greedy_search_takes_the_likeliest_token(model):
    settings = DecodingSettings(num_beams=1, max_new_tokens=1, min_new_tokens=1)
    logits = model(torch.tensor([[2, 3]])).logits[0, -1].detach()
    logits[END] = -torch.inf
    found = generate_sentences(model, [[2, 3]], tokenizer=Numbers(), settings=settings)
    assert found == ([str(int(logits.argmax()))] if int(logits.argmax()) != PAD else [""])


def test_pad_left():
    batch = pad_left([[1, 2, 3], [4]], 9)
    assert batch["input_ids"].tolist() == [[1, 2, 3], [9, 9, 4]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]


def test_no_room_for_the_sentence(model):
    with pytest.raises(
        InvalidValue, match="max_new_tokens = 23: with the longest record needs 25 positions, the model has 24"
    ):
        generate_sentences(model, [[1, 2]], tokenizer=Numbers(), settings=DecodingSettings(max_new_tokens=23))
