"""The small GPT-2: learns, repeats to the byte, and sees nothing private."""

import math

import pytest
import torch

from lmodp.data.embedded import load_movie_reviews, load_venues, public_venues
from lmodp.data.tables import Examples
from lmodp.models import pretraining
from lmodp.models.prepare_model import weights_hash
from lmodp.models.pretraining import END, PretrainingSettings, pretrain_gpt2, public_sentences, train_tokenizer

QUICK = PretrainingSettings(
    vocabulary=400, width=16, layers=1, heads=2, positions=64, block=32, batch_size=4, steps=12, warmup=3
)


@pytest.fixture(scope="module")
def little_text(fetched, cache_root):
    """A thousand sentences and five hundred venues stand for the whole corpus."""
    fetched("vaderSentiment")
    sentences, venues = public_sentences(cache_root)[:1000], public_venues()
    few = Examples({name: values[:500] for name, values in venues.columns.items()}, {"public": list(range(500))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "public_sentences", lambda root: sentences)
        patch.setattr(pretraining, "public_venues", lambda: few)
        yield


@pytest.fixture(scope="module")
def made(little_text, cache_root):
    return pretrain_gpt2(cache_root, QUICK)


def test_it_learns(made):
    model, tokenizer, facts = made
    assert facts["held_out_loss"] < math.log(len(tokenizer)) - 0.3
    assert facts["held_out_perplexity"] == pytest.approx(math.exp(facts["held_out_loss"]), rel=1e-4)
    assert model.config.pad_token_id == tokenizer.pad_token_id == tokenizer.eos_token_id
    assert len(tokenizer) == QUICK.vocabulary == model.config.vocab_size


def test_it_repeats_to_the_byte_on_any_number_of_threads(made, cache_root):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again, tokenizer, facts = pretrain_gpt2(cache_root, QUICK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert weights_hash(again.state_dict()) == weights_hash(made[0].state_dict())
    assert facts == made[2] and tokenizer.get_vocab() == made[1].get_vocab()


def test_the_tokenizer_loses_nothing():
    tokenizer = train_tokenizer(["a plain text"] * 3, QUICK)
    text = "Café – £20, \t日本"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token == tokenizer.pad_token == END


def test_no_private_text_is_among_the_public(fetched, cache_root):
    fetched("vaderSentiment")
    sentences = set(public_sentences(cache_root)) | set(public_venues().columns["text"])
    assert not sentences & set(load_venues().columns["text"])
    shared = sentences & set(load_movie_reviews(cache_root).columns["sentence"])
    assert not shared
