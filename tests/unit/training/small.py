"""A small training problem shared by the engine's tests."""

import torch
from torch import nn

from lmodp.mechanisms import Gaussian
from lmodp.plan import Plan
from lmodp.training import TensorExamples, TrainingSettings, classification_loss

SEEDS = {"sampling": 11, "dropout": 12, "noise": 13}
SIZE = 60


class Classifier(nn.Module):
    """Two layers on six features."""

    def __init__(self, *, dropout: float = 0.0):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.second(self.dropout(torch.tanh(self.first(x))))


def make_model(*, dropout: float = 0.0) -> Classifier:
    torch.manual_seed(4)
    return Classifier(dropout=dropout)


def make_examples() -> TensorExamples:
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(SIZE, 6, generator=generator)
    return TensorExamples({"x": x, "labels": x[:, :3].argmax(1)})


def make_plan(**changes) -> Plan:
    fields = {
        "noise": Gaussian(std=0.7),
        "sampling_rate": 0.2,
        "steps": 7,
        "delta": 1e-5,
        "clip_norm": 0.4,
        "dataset_size": SIZE,
    }
    return Plan(**{**fields, **changes})


def make_settings(**changes) -> TrainingSettings:
    return TrainingSettings(**{"learning_rate": 0.05, "micro_batch_size": 5, **changes})


def arguments(**changes) -> dict:
    """Return the arguments of `train` but the model; changes go to plan or settings by name."""
    plan_fields = {name: changes.pop(name) for name in list(changes) if name in Plan.__dataclass_fields__}
    return {
        "plan": make_plan(**plan_fields),
        "examples": make_examples(),
        "loss": classification_loss,
        "settings": make_settings(**changes),
        "seeds": SEEDS,
    }
