"""A Gaussian for the tests of clusters."""

import tests.cluster.misbehaving  # noqa: F401  it does what follows
from lmodp.baselines.gaussian import GaussianVariant


class Greedy(GaussianVariant):
    """Its process takes more memory than was estimated, in every job."""

    name = "greedy"
    title = "greedy"
    reference = "tests/cluster"
