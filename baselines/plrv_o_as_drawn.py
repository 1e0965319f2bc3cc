"""PLRV-O as its released language code draws the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.baselines.plrv_o import PlrvO, claim_of, gamma_rate, plrv_noise
from lmodp.errors import given
from lmodp.methods.contract import Mechanism, Target

if TYPE_CHECKING:
    from lmodp.mechanisms import LaplaceMixture


class PlrvOAsDrawn(PlrvO):
    """The published points, with the Gamma sample used as the Laplace's *scale*; the accounting uses it as the rate.

    So the claim is for the analysed noise, and the verified interval is for the noise
    that is drawn.
    """

    name = "plrv_o_as_drawn"
    title = "PLRV-O as drawn"
    reference = "Yang et al., arXiv 2509.06264 (released language code)"
    noise_of = "plrv_o"
    calibrations = ("claimed",)
    not_under = {
        "verified": "it is the drawing of a published claim; set to a verified target, it would be "
        "the noise of plrv_o with another shape"
    }

    def mechanism(self, target: Target) -> Mechanism:
        """Return the drawn noise, with the claim for the analysed noise."""
        analysed, source = plrv_noise(target)
        note = f"{source}, the Gamma sample taken as the Laplace's scale"
        return Mechanism(noise=scale_for_rate(analysed), claim=claim_of(analysed, target), note=note)


def scale_for_rate(noise: LaplaceMixture) -> LaplaceMixture:
    """Return Laplace noise whose rate is the reciprocal of the given noise's Gamma rate.

    The reciprocal of Gamma(k, theta) has mean 1/((k-1) theta) and is represented by
    the Gamma of the same mean and variance, of shape k - 2: at the published
    k = 3,000 the third central moments differ by 2e-5 of the cubed mean.
    """
    gamma = given(noise.gamma, "rate.gamma", "is needed: PLRV-O's rate is a Gamma")
    shape, scale = gamma.shape, gamma.weight * gamma.scale
    return gamma_rate(shape - 2, 1 / ((shape - 1) * (shape - 2) * scale))
