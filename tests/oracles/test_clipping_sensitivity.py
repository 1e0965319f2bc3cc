"""The guarantee itself: one of 2,001 examples moves the sum by the clip norm, whatever is trained and however.

The examples' gradients nearly point one way, so that the sum is long and every rounding of it shows.
"""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian
from lmodp.models.trainable import set_trainable
from lmodp.plan import Plan
from lmodp.training import PrivateStep, TensorExamples, TrainingSettings
from lmodp.training.losses import token_losses

SIZE, LENGTH, CLIP_NORM = 2001, 3, 1.0
KEYS = {name: "0" * 64 for name in ("sampling", "dropout", "noise")}


class Small(nn.Module):
    """An embedding, a matrix, a norm and a head; adapters on the matrix if a rank is given."""

    def __init__(self):
        super().__init__()
        self.table, self.matrix, self.norm = nn.Embedding(40, 16), nn.Linear(16, 16), nn.LayerNorm(16)
        self.down, self.up, self.head = nn.Linear(16, 2, bias=False), nn.Linear(2, 16, bias=False), nn.Linear(16, 40)

    def forward(self, ids):
        hidden = self.table(ids)
        low = self.up(self.down(hidden.to(self.down.weight.dtype)))
        hidden = self.norm(torch.tanh(self.matrix(hidden) + low.to(hidden.dtype)))
        return self.head(hidden.to(self.head.weight.dtype))


PARTS = {
    "full": ("",),
    "table": ("table",),
    "matrices": ("matrix.weight", "head.weight"),
    "biases": ("matrix.bias", "norm.bias", "head.bias"),
    "adapters": ("down", "up"),
    "head": ("head",),
}


def loss(model, batch):
    return 100 * token_losses(model(batch["ids"]), batch["ids"])


@cache
def tokens():
    ids = torch.randint(0, 40, (1, LENGTH), generator=torch.Generator().manual_seed(1)).repeat(SIZE, 1)
    ids[::7, 1], ids[::11, 2], ids[-1] = 5, 9, torch.tensor([30, 31, 32])
    return ids


def made(part, dtype):
    """The model in a dtype, with one part of it trained, which set_trainable would keep in 32 bits."""
    torch.manual_seed(3)
    model = Small().to(dtype).requires_grad_(False)
    for name, value in model.named_parameters():
        if name.startswith(PARTS[part]):
            value.requires_grad_(True)
            value.data = value.data if dtype == torch.float64 else value.data.float()
    return model


def clipped_sum(model, ids, *, micro, precision):
    size = len(ids)
    plan = Plan.for_batches(
        expected_batch_size=size,
        dataset_size=size,
        steps=1,
        delta=1e-5,
        noise=Gaussian(std=1.0),
        clip_norm=CLIP_NORM,
    )
    settings = TrainingSettings(learning_rate=0.1, micro_batch_size=micro, precision=precision)
    examples = TensorExamples({"ids": ids})
    step = PrivateStep(copy.deepcopy(model), plan=plan, examples=examples, loss=loss, settings=settings, keys=KEYS)
    report = step.sum_clipped(0)
    assert report.batch_size == size and report.clipped >= 0.9 * size
    assert all(value.grad.dtype in (torch.float32, torch.float64) for value in step.parameters)
    return torch.cat([value.grad.flatten().double() for value in step.parameters])


KINDS = [(torch.float32, "float32"), (torch.float64, "float32"), (torch.float32, "bfloat16")]
KINDS += [(torch.bfloat16, "bfloat16"), (torch.float16, "float32")]
CASES = [(part, dtype, precision, 667) for part in PARTS for dtype, precision in KINDS]
CASES = [case for case in CASES if case[1].itemsize > 2 or case[0] in ("adapters", "head")]
CASES += [("full", torch.float32, "float32", 100), ("full", torch.float32, "bfloat16", 2001)]


@pytest.mark.parametrize(("part", "dtype", "precision", "micro"), CASES, ids=str)
def test_one_of_thousands_moves_the_sum_by_the_clip_norm(part, dtype, precision, micro):
    model, ids = made(part, dtype), tokens()
    whole = clipped_sum(model, ids, micro=micro, precision=precision)
    assert whole.norm() > 1000
    for left_out in (SIZE - 1,) if micro < 667 else (SIZE - 1, 700):
        rest = torch.cat([ids[:left_out], ids[left_out + 1 :]])
        moved = float((whole - clipped_sum(model, rest, micro=micro, precision=precision)).norm())
        assert 0.99 < moved <= 1.001 * CLIP_NORM


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_trained_part_of_16_bits_is_refused(dtype):
    model = made("head", torch.float32)
    model.head.weight.data = model.head.weight.data.to(dtype)
    with pytest.raises(Unsupported, match=rf"1 trained parameters are {dtype} \(head.weight among them\)"):
        clipped_sum(model, tokens()[:50], micro=50, precision="float32")


def test_adapters_on_a_frozen_model_of_16_bits(monkeypatch):
    """Adapters that set_trainable makes on a real architecture: float32, and bounded."""
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    fields |= {"num_attention_heads": 2, "num_key_value_heads": 1, "bos_token_id": 0, "eos_token_id": 2}
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **fields)).bfloat16()
    set_trainable(model, {"lora": {}}, seed=1)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            value.data.normal_()

    def steep(model, batch):
        return 1e4 * token_losses(model(batch["ids"]).logits, batch["ids"])

    monkeypatch.setitem(globals(), "loss", steep)
    ids = tokens()[-400:]
    for precision in ("float32", "bfloat16"):
        sums = [clipped_sum(model, part, micro=160, precision=precision) for part in (ids, ids[:-1])]
        assert 0.99 < float((sums[0] - sums[1]).norm()) <= 1.001 * CLIP_NORM and np.isfinite(float(sums[0].norm()))
