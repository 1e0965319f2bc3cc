"""The buffer of one-dimensional parameters: what no layer wrote counts as zero."""

import math

import pytest
import torch
from torch import nn

from lmodp.training.clipping.weighted import VectorBank


def test_a_parameter_that_took_no_part_has_a_zero_gradient():
    used, unused = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))
    bank = VectorBank([used, unused], 4)
    bank.values.fill_(math.nan)  # new memory may hold anything
    gradients = torch.arange(12.0).reshape(4, 3)
    bank.add(used, gradients)
    bank.add(used, gradients)
    assert bank.squared_norms().tolist() == pytest.approx((4 * gradients.square().sum(1)).tolist(), rel=1e-6)
    bank.add_weighted_sums(torch.tensor([1.0, 0.0, 0.5, 0.0]), None)
    assert used.grad.tolist() == (2 * (gradients[0] + gradients[2] / 2)).tolist()
    assert unused.grad.tolist() == [0, 0]
