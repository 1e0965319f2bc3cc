"""Zeroth-order fine-tuning: four noisy loss differences a step, along as many public random directions."""

from lmodp.baselines.zeroth_order import ZerothOrder


class ZerothOrderMany(ZerothOrder):
    """DP-AggZO with Gaussian noise, K = 4.

    The update averages over more directions, and their four numbers share one clip norm. At equal steps it costs four
    times the forward passes of K = 1.
    """

    name = "zeroth_order_many"
    title = "zeroth order, K = 4"
    reference = "Bao et al., USENIX Security 2025; Zhang et al., arXiv 2310.09639"
    forward_passes = 8
    _directions = 4
