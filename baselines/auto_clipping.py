"""Gaussian noise under automatic clipping: every gradient is scaled to about the clip norm."""

from lmodp.baselines.gaussian import GaussianVariant


class AutoClipping(GaussianVariant):
    """Each gradient is multiplied by C / (norm + 0.01), so no clip threshold must be chosen."""

    name = "auto_clipping"
    title = "Gaussian, automatic clipping"
    reference = "Bu et al., arXiv 2206.07136"
    clipping = "automatic"
