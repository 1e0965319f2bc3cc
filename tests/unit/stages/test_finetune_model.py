"""What a method does after the noise: an error of it is told in one line, as the reason of its cell."""

from types import SimpleNamespace

import pytest
import torch

from lmodp.errors import InvalidValue
from lmodp.stages.finetune_model import after_noise_of


def optimizer_of(build):
    found = after_noise_of(SimpleNamespace(name="mine", after_noise="a filter", build_optimizer=build))
    return found.build([torch.nn.Parameter(torch.zeros(2))], SimpleNamespace(learning_rate=0.1), None)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda parameters, settings, plan: settings.lr, r"mine: build_optimizer\(\): AttributeError: .*lr"),
        (lambda parameters, settings, plan: 3, r"mine: build_optimizer\(\) = 3: must be a torch.optim.Optimizer"),
        (lambda parameters: None, r"mine: build_optimizer\(\): TypeError"),
    ],
)
def test_an_error_of_the_method_is_one_of_the_suites(build, told):
    with pytest.raises(InvalidValue, match=told):
        optimizer_of(build)


def test_a_sound_one_is_taken():
    assert isinstance(
        optimizer_of(lambda parameters, settings, plan: torch.optim.SGD(parameters, lr=0.1)), torch.optim.SGD
    )
