"""Gaussian noise on bias terms only."""

from lmodp.baselines.gaussian import GaussianVariant


class BitFit(GaussianVariant):
    """Trains bias terms and the task's head, whatever part the experiment trains."""

    name = "bitfit"
    title = "Gaussian, biases only"
    reference = "Bu et al. 2023, arXiv 2210.00036"
    trainable = "bitfit"
