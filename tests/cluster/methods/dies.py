"""A Gaussian for the tests of clusters."""

import tests.cluster.misbehaving  # noqa: F401  it does what follows
from lmodp.baselines.gaussian import GaussianVariant


class Dies(GaussianVariant):
    """Its process stops once, until its node goes down."""

    name = "dies"
    title = "dies"
    reference = "tests/cluster"
