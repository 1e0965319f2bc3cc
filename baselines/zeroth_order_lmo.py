"""Zeroth-order fine-tuning with a published LMO noise."""

from lmodp.baselines.zeroth_order import ZerothOrder


class ZerothOrderLmo(ZerothOrder):
    """DP-ZO with the shape of LMO-DP's noise for epsilon 0.3, on one number a step."""

    name = "zeroth_order_lmo"
    title = "zeroth order, LMO"
    reference = "the noise of Yang et al., arXiv 2405.18776, on the release of Tang et al., arXiv 2401.04343"
    _shape = "lmo-0.3"
