"""Zeroth-order fine-tuning with a published LMO noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.baselines.zeroth_order import ZerothOrder

if TYPE_CHECKING:
    from lmodp.mechanisms import Noise


class ZerothOrderLmo(ZerothOrder):
    """DP-ZO with the shape of LMO-DP's noise for epsilon 0.3, on one number a step."""

    name = "zeroth_order_lmo"
    title = "zeroth order, LMO"
    reference = "the noise of Yang et al., arXiv 2405.18776, on the release of Tang et al., arXiv 2401.04343"

    def _shape(self) -> Noise:
        from lmodp.mechanisms import load_noise  # slow to import, and not needed to list methods

        return load_noise("lmo-0.3")
