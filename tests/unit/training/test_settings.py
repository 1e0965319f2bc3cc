"""Settings are closed, and the optimisers are torch's."""

import pytest
import torch

from lmodp.errors import InvalidValue
from lmodp.training.settings import TrainingSettings, build_optimizer


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("optimizer", "sdg", "Did you mean 'sgd'"),
        ("schedule", "cosine", "Known: constant, linear"),
        ("precision", "float16", "Did you mean 'bfloat16'"),
        ("learning_rate", 0.0, "must be above 0"),
        ("micro_batch_size", 0, "at least 1"),
        ("micro_batch_size", None, "at least 1"),
        ("checkpoint_every", 2.5, "at least 1"),
        ("weight_decay", -1.0, "at least 0"),
        ("randomness", "os", "unknown choice"),
    ],
)
def test_bad_values_are_refused(field, value, text):
    with pytest.raises(InvalidValue, match=text):
        TrainingSettings(**{"learning_rate": 0.1, field: value})


def test_schedules():
    linear = TrainingSettings(learning_rate=0.2, schedule="linear")
    assert [linear.rate_at(step, steps=4) for step in range(4)] == pytest.approx([0.2, 0.15, 0.1, 0.05])
    assert TrainingSettings(learning_rate=0.2).rate_at(3, steps=4) == 0.2


def step_once(settings, gradient):
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = build_optimizer(settings, [parameter])
    parameter.grad = gradient
    optimizer.step()
    return parameter.detach()


def test_first_steps_by_hand():
    gradient = torch.tensor([0.5, -0.1])
    start = torch.tensor([1.0, -2.0])
    sgd = TrainingSettings(learning_rate=0.1, optimizer="sgd", weight_decay=0.3)
    torch.testing.assert_close(step_once(sgd, gradient), start - 0.1 * (gradient + 0.3 * start))
    adamw = TrainingSettings(learning_rate=0.1, weight_decay=0.3, adam_epsilon=1e-3)
    update = gradient / (gradient.abs() + 1e-3)  # bias-corrected first step
    torch.testing.assert_close(step_once(adamw, gradient), start * (1 - 0.03) - 0.1 * update)
    adam = TrainingSettings(learning_rate=0.1, optimizer="adam", weight_decay=0.3, adam_epsilon=1e-3)
    coupled = gradient + 0.3 * start
    torch.testing.assert_close(step_once(adam, gradient), start - 0.1 * coupled / (coupled.abs() + 1e-3))


def test_round_trip():
    settings = TrainingSettings(learning_rate=0.1, betas=(0.8, 0.9))
    assert TrainingSettings(**settings.to_dict()) == settings
