"""The law of what another engine releases: the right noise is accepted, other scales and other laws are not."""

import numpy as np
import pytest
import torch

from lmodp.auditing.conformance import released_law_checks
from lmodp.engines.foreign import PROBE_DRAWS, measure_law
from lmodp.mechanisms import PUBLISHED, Gaussian, Laplace
from lmodp.plan import Plan
from lmodp.training import draw

LAWS = {"gaussian": Gaussian(std=1.7), "laplace": Laplace(scale=0.6), "lmo": PUBLISHED["lmo-0.3"].noise}


def plan(noise):
    return Plan.for_batches(expected_batch_size=10, dataset_size=40, steps=3, delta=1e-5, clip_norm=0.3, noise=noise)


def sample(noise, seed):
    return draw(noise, (PROBE_DRAWS,), torch.Generator().manual_seed(seed)).double() * 0.3


def agrees(noise, released):
    found = measure_law(released, plan(noise))
    return all(check.agrees for check in released_law_checks(found["released_law"])), found["noise_measured"][
        "within_tolerance"
    ]


@pytest.mark.parametrize("name", LAWS)
def test_the_certified_noise_is_accepted(name):
    assert all(agrees(LAWS[name], sample(LAWS[name], seed)) == (True, True) for seed in range(5))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("factor", [2 / 3, 3 / 2])
def test_another_scale_is_refused_by_the_law_and_by_the_meter(name, factor):
    assert agrees(LAWS[name], factor * sample(LAWS[name], 7)) == (False, False)


def test_another_law_of_the_same_mean_absolute_value_is_refused():
    laplace = Laplace(scale=LAWS["gaussian"].mean_abs)
    assert agrees(LAWS["gaussian"], sample(laplace, 7))[0] is False


def test_one_sided_noise_is_refused():
    assert agrees(LAWS["gaussian"], sample(LAWS["gaussian"], 7).abs())[0] is False


def test_nothing_measured_is_a_disagreement():
    assert [check.agrees for check in released_law_checks(None)] == [False]


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    from scipy.stats import kstest

    released = sample(LAWS["laplace"], 3)[:500]
    law = LAWS["laplace"]
    expected = kstest(np.abs(released.numpy()) / 0.3, lambda x: 1 - law.survival(x)).statistic
    assert measure_law(released, plan(law))["released_law"]["distance"] == pytest.approx(expected, abs=1e-12)
