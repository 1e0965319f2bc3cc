"""Gaussian noise on low-rank adapters only."""

from lmodp.baselines.gaussian import GaussianVariant


class LowRank(GaussianVariant):
    """Adapters and the task's head are trained; an experiment that trains adapters keeps its options."""

    name = "lora"
    title = "Gaussian, low-rank adapters"
    reference = "Yu et al. 2022, arXiv 2110.06500"
    trainable = {"lora": {"rank": 8, "alpha": 16.0, "targets": None}}
