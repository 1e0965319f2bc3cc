"""Gaussian noise on low-rank adapters only."""

from lmodp.baselines.gaussian import GaussianVariant


class LowRank(GaussianVariant):
    """Trains adapters and the task's head; if the experiment trains adapters too, its options are used."""

    name = "lora"
    title = "Gaussian, low-rank adapters"
    reference = "Yu et al. 2022, arXiv 2110.06500"
    trainable = {"lora": {"rank": 8, "alpha": 16.0, "targets": None}}
