"""A Gaussian for the tests of clusters."""

import tests.cluster.misbehaving  # noqa: F401  it does what follows
from lmodp.baselines.gaussian import GaussianVariant


class Hangs(GaussianVariant):
    """Its process stops once, until SLURM ends the job for its time."""

    name = "hangs"
    title = "hangs"
    reference = "tests/cluster"
