"""Per-example losses: an example's loss does not depend on its neighbours."""

import torch

from lmodp.training.losses import IGNORED, causal_lm_loss, classification_loss, token_losses
from tests.oracles.clipping_models import build, make_batch


def test_classification_is_cross_entropy_per_example():
    logits = torch.tensor([[0.2, -1.0], [3.0, 0.5]])
    found = classification_loss(lambda x: logits + 0 * x, {"x": torch.zeros(1), "labels": torch.tensor([1, 0])})
    expected = torch.logsumexp(logits, 1) - torch.tensor([-1.0, 3.0])
    torch.testing.assert_close(found, expected)


def test_language_model_loss_is_the_mean_over_own_targets():
    model, _, _ = build("gpt2_tied")
    batch = make_batch("tokens", [6, 3])
    found = causal_lm_loss(model, batch)
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(-1)
    for example, length in enumerate((6, 3)):
        own = [-logits[example, t, batch["input_ids"][example, t + 1]] for t in range(length - 1)]
        torch.testing.assert_close(found[example], torch.stack(own).mean())


def test_padding_does_not_change_a_loss():
    model, loss, _ = build("llama")
    short, padded = make_batch("tokens", [4]), make_batch("tokens", [4, 9])
    for name in short:
        padded[name][0] = torch.cat(
            [short[name][0], padded[name].new_full((5,), {"input_ids": 1, "labels": IGNORED}.get(name, 0))]
        )
    torch.testing.assert_close(loss(model, padded)[0], loss(model, short)[0], rtol=1e-6, atol=0)


def test_an_example_without_targets_has_loss_zero_and_no_gradient():
    logits = torch.randn(2, 3, 5, requires_grad=True)
    targets = torch.tensor([[IGNORED] * 3, [1, IGNORED, 4]])
    losses = token_losses(logits, targets)
    losses.sum().backward()
    assert losses[0] == 0 and losses[1] > 0
    assert not logits.grad[0].any() and logits.grad[1, 0].any() and not logits.grad[1, 1].any()


def test_losses_of_sixteen_bit_logits_are_float32():
    assert token_losses(torch.randn(1, 2, 5).bfloat16(), torch.tensor([[1, 2]])).dtype == torch.float32
