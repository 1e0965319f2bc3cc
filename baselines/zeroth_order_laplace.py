"""Zeroth-order fine-tuning with Laplace noise."""

from lmodp.baselines.zeroth_order import ZerothOrder


class ZerothOrderLaplace(ZerothOrder):
    """DP-ZO as it is used for pure epsilon: Laplace noise on one number a step."""

    name = "zeroth_order_laplace"
    title = "zeroth order, Laplace"
    reference = "Tang et al., arXiv 2401.04343 (section 4.2)"
    _shape = "laplace"
