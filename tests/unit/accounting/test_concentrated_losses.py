"""The lower end of the interval where one coordinate's losses are concentrated near their largest value."""

import pytest

from lmodp.accounting import verified_run
from lmodp.mechanisms import noise_from_dict

# Rate parts so narrow around 0.52 that no lattice slope of top/48 lies between the mean loss and the largest.
NARROW = noise_from_dict(
    {
        "family": "laplace_mixture",
        "rate": {
            "gamma": {"weight": 0.019402993632282674, "shape": 2.0, "scale": 1.0},
            "exponential": {"weight": 0.019402993632282674, "rate": 5.0},
            "uniform": {"weight": 0.17462694269054405, "low": 2.0, "high": 3.0},
        },
    }
)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.6])
def test_the_lower_end_is_close_to_the_limit(factor):
    found = verified_run(NARROW.scaled(factor), sampling_rate=0.25, steps=6, delta=1e-10)
    assert 0.97 * found.gaussian_limit < found.lower < found.gaussian_limit < found.upper
