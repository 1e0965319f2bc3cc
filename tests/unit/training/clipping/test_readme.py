"""The README of the clipping room names what is there."""

import re
from pathlib import Path

import torch
from torch import nn

import lmodp.training.clipping as room
from lmodp.training.clipping.engine import ClippingEngine, rows_of
from lmodp.training.clipping.rules import RULES, full_name
from tests.unit.training.small import make_examples

FOLDER = Path(room.__file__).parent
TEXT = (FOLDER / "README.md").read_text()


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_module_is_listed():
    listed = set(re.findall(r"^\| `(\w+\.py)` \|", TEXT, re.MULTILINE))
    assert listed == {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}


def test_every_layer_with_a_rule_is_listed():
    listed = re.findall(r"^\| `(torch|transformers)\.([\w.]+)`", section("Supported layers"), re.MULTILINE)
    assert {f"{package}.{name}".split(".")[-1] for package, name in listed} == {name.split(".")[-1] for name in RULES}


def test_the_walk_names_functions_that_are_in_their_files():
    pairs = re.findall(r"`([\w.]+)` \(`(\w+\.py)`\)", section("One example in one step"))
    assert len(pairs) >= 8
    for name, file in pairs:
        path = FOLDER / file if (FOLDER / file).exists() else FOLDER.parent / file
        assert re.search(rf"^\s*(def|class) {name.split('.')[-1]}\b", path.read_text(), re.MULTILINE), (name, file)


class MyScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((6,), 1.5))

    def forward(self, inputs):
        return inputs * self.weight


def test_the_rule_shown_yields_the_true_norms():
    model, batch = nn.Sequential(MyScale(), nn.Linear(6, 3)), make_examples().batch([0, 1])

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), batch["labels"], reduction="none")

    try:
        exec(section("Adding a layer").split("```python\n")[1].split("```")[0], {"MyScale": MyScale})
        assert ClippingEngine(model, clip_norm=1.0, clipping="flat").check(loss, rows_of(batch, 2), [0, 1])
    finally:
        RULES.pop(full_name(MyScale), None)
