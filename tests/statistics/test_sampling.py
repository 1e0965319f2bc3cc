"""Poisson sampling: rates, independence and batch sizes, with tests that reject other samplers."""

import numpy as np
import pytest
from scipy import stats

from lmodp.plan import Plan
from lmodp.training.sampling import PoissonSampler, micro_batches

SIZE, STEPS, RATE, LEVEL = 400, 1500, 0.13, 1e-4


def plan(rate: float = RATE, size: int = SIZE) -> Plan:
    return Plan(noise=None, clipping="none", sampling_rate=rate, steps=1, dataset_size=size)


def inclusions(rate: float = RATE) -> np.ndarray:
    """Return (steps, examples) booleans."""
    sampler = PoissonSampler(plan=plan(rate), key="statistics")
    found = np.zeros((STEPS, SIZE), dtype=bool)
    for step in range(STEPS):
        found[step, sampler.draw(step)] = True
    return found


def shuffled() -> np.ndarray:
    """Return the inclusions of fixed-size batches drawn without replacement, at the same rate."""
    generator = np.random.default_rng(1)
    found = np.zeros((STEPS, SIZE), dtype=bool)
    for step in range(STEPS):
        found[step, generator.permutation(SIZE)[: int(RATE * SIZE)]] = True
    return found


def rate_p_value(found: np.ndarray) -> float:
    return stats.binomtest(int(found.sum()), found.size, RATE).pvalue


def size_p_value(found: np.ndarray) -> float:
    """Chi-square test of the batch sizes against Binomial(N, q), in bins of its deciles."""
    law = stats.binom(SIZE, RATE)
    edges = np.unique(law.ppf(np.linspace(0.1, 0.9, 9)))
    observed = np.bincount(np.searchsorted(edges, found.sum(1)), minlength=len(edges) + 1)
    expected = STEPS * np.diff(np.concatenate([[0], law.cdf(edges), [1]]))
    return stats.chisquare(observed, expected).pvalue


def test_the_rate_is_the_plans():
    assert rate_p_value(inclusions()) > LEVEL


@pytest.mark.parametrize("factor", [2 / 3, 3 / 2, 0.97])
def test_another_rate_is_rejected(factor):
    assert rate_p_value(inclusions(RATE * factor)) < LEVEL


def test_batch_sizes_are_binomial():
    assert size_p_value(inclusions()) > LEVEL


def test_batches_of_fixed_size_are_rejected():
    assert rate_p_value(shuffled()) > LEVEL > size_p_value(shuffled())


def test_every_example_has_the_same_rate():
    per_example = inclusions().sum(0)
    assert stats.chisquare(per_example, np.full(SIZE, per_example.mean())).pvalue > LEVEL


def test_examples_and_steps_are_independent():
    found = inclusions() - RATE
    scale = RATE * (1 - RATE)
    examples = (found[:, :-1] * found[:, 1:]).mean() / scale
    steps = (found[:-1] * found[1:]).mean() / scale
    assert abs(examples) < 5 / np.sqrt(found.size) and abs(steps) < 5 / np.sqrt(found.size)


def test_rate_one_draws_everybody_and_a_tiny_rate_nobody():
    assert PoissonSampler(plan=plan(1.0), key="k").draw(0).tolist() == list(range(SIZE))
    assert PoissonSampler(plan=plan(1e-12), key="k").draw(0).tolist() == []


def test_a_step_can_be_drawn_again():
    sampler = PoissonSampler(plan=plan(), key="k")
    assert np.array_equal(sampler.draw(5), PoissonSampler(plan=plan(), key="k").draw(5))
    assert not np.array_equal(sampler.draw(5), sampler.draw(6))


def test_micro_batches_keep_every_index_once():
    pieces = list(micro_batches(np.arange(7), 3))
    assert [piece.tolist() for piece in pieces] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(micro_batches(np.arange(0), 3)) == []
