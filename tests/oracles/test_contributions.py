"""Norms, inner products and weighted sums of contributions against dense gradients."""

import itertools

import pytest
import torch
from torch import nn

from lmodp.training.clipping.contributions import (
    Explicit,
    Outer,
    Rows,
    dense_rows,
    outer_or_explicit,
    rows_or_explicit,
    select,
)
from lmodp.training.clipping.norms import GramCache, squared_norm
from lmodp.training.clipping.weighted import WeightedSums

B, V, D = 3, 5, 4


def make(kind: str, length: int, seed: int):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if kind == "outer":
        return Outer(draw(B, length, V), draw(B, length, D))
    if kind == "rows":
        return Rows(torch.randint(-1, V, (B, length), generator=generator), draw(B, length, D), V)
    return Explicit(draw(B, V, D))


def dense(part):
    if isinstance(part, Outer):
        return torch.einsum("btp,btd->bpd", part.left, part.right)
    if isinstance(part, Rows):
        hot = (part.ids[..., None] == torch.arange(V)).double()
        return torch.einsum("btv,btd->bvd", hot, part.grad)
    return part.value


KINDS = ("outer", "rows", "explicit")


@pytest.mark.parametrize("kinds", [*itertools.product(KINDS, KINDS), *((kind,) for kind in KINDS)])
@pytest.mark.parametrize("length", [1, 3, 7])
def test_norms_and_sums(kinds, length):
    parts = [make(kind, length + position, position) for position, kind in enumerate(kinds)]
    expected = sum(dense(part) for part in parts)
    norm = squared_norm(parts, GramCache())
    torch.testing.assert_close(norm, expected.flatten(1).square().sum(1), rtol=1e-11, atol=1e-12)
    factors = torch.tensor([0.3, 0.0, 2.0], dtype=torch.float64)
    parameter = nn.Parameter(torch.zeros(V, D, dtype=torch.float64))
    sums = WeightedSums(factors)
    for part in parts:
        sums.add(part, parameter)
    torch.testing.assert_close(parameter.grad, torch.einsum("b,bvd->vd", factors, expected), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_selected_examples(kind):
    part, keep = make(kind, 4, 1), torch.tensor([2, 0])
    torch.testing.assert_close(dense(select(part, keep)), dense(part)[keep])


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_that_is_not_usable_is_taken_out_of_the_sum(kind):
    part, factors = make(kind, 4, 1), torch.tensor([0.3, 0.0, 2.0], dtype=torch.float64)
    expected = torch.einsum("b,bvd->vd", factors, dense(part))
    (part.value if kind == "explicit" else part.grad if kind == "rows" else part.left)[1] = float("nan")
    parameter = nn.Parameter(torch.zeros(V, D, dtype=torch.float64))
    WeightedSums(factors, torch.tensor([True, False, True])).add(part, parameter)
    torch.testing.assert_close(parameter.grad, expected, rtol=1e-11, atol=1e-12)


def test_form_follows_the_shape():
    wide = (torch.randn(2, 3, 50), torch.randn(2, 3, 40))
    narrow = (torch.randn(2, 30, 50), torch.randn(2, 30, 40))
    assert isinstance(outer_or_explicit(*wide), Outer)  # 2000 numbers against 3 * 90
    assert isinstance(outer_or_explicit(*narrow), Explicit)  # 2000 numbers against 30 * 90
    ids = torch.randint(0, 9, (2, 6))
    assert isinstance(rows_or_explicit(ids, torch.randn(2, 6, 3), 9), Rows)
    assert isinstance(rows_or_explicit(ids % 6, torch.randn(2, 6, 3), 6), Explicit)


def test_forms_agree():
    left, right = make("outer", 6, 3).left, make("outer", 6, 3).right
    both = [squared_norm([part], GramCache()) for part in (Outer(left, right), outer_or_explicit(left, right))]
    torch.testing.assert_close(*both, rtol=1e-11, atol=0)
    rows = make("rows", 6, 4)
    torch.testing.assert_close(dense_rows(rows), dense(rows))


def test_cancelling_positions_do_not_shrink_the_norm():
    """Positions that cancel to a thousandth: the Gram form alone would miss the norm by a quarter."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(200, 32, 64, generator=generator)
    grads = torch.randn(200, 32, 48, generator=generator)
    left = torch.cat([grads, -grads], 1)
    right = torch.cat([half, half + 1e-3 * torch.randn(half.shape, generator=generator)], 1)
    true = torch.einsum("btp,btd->bpd", left.double(), right.double()).flatten(1).norm(dim=1)
    measured = squared_norm([Outer(left, right)], GramCache()).clamp_min(0).sqrt().double()
    assert (true / measured).max() <= 1 + 1e-6
    without = torch.linalg.vecdot(*(torch.bmm(x, x.mT).flatten(1) for x in (left, right))).clamp_min(0).sqrt().double()
    assert (true / without).max() > 1.01  # the test can fail


@pytest.mark.parametrize("at_once", [1, 200, 1 << 24])
def test_sixteen_bit_factors_are_widened(at_once, monkeypatch):
    monkeypatch.setattr("lmodp.training.clipping.contributions.WIDENED", at_once)
    left, right = torch.randn(2, 3, 50).bfloat16(), torch.randn(2, 3, 40)
    exact = torch.einsum("btp,btd->bpd", left.double(), right.double())
    norm = squared_norm([Outer(left, right)], GramCache())
    assert norm.dtype == torch.float32
    torch.testing.assert_close(norm.double(), exact.flatten(1).square().sum(1), rtol=1e-5, atol=0)
    parameter = nn.Parameter(torch.empty(50, 40))
    WeightedSums(torch.tensor([0.123, 0.456])).add(Outer(left, right), parameter)
    expected = torch.einsum("b,bpd->pd", torch.tensor([0.123, 0.456]).double(), exact)
    torch.testing.assert_close(parameter.grad.double(), expected, rtol=1e-4, atol=1e-5)
