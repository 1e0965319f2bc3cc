"""LMO-DP as its public experiment code draws the noise."""

from lmodp.baselines.lmo_dp import lmo_shape
from lmodp.methods.contract import Mechanism, Method, Target


class LmoDpAsDrawn(Method):
    """The published parameters, with the rate of the exponential part used as its mean.

    The public experiment code uses lambda as a rate in its accounting, but as a mean
    when it draws the noise. So the claim is for the analysed noise, and the verified
    interval is for the noise that is drawn.
    """

    name = "lmo_dp_as_drawn"
    title = "LMO-DP as drawn"
    reference = "Yang et al., arXiv 2405.18776 (public experiment code)"
    noise_of = "lmo_dp"
    calibrations = ("claimed",)
    not_under = {
        "verified": "it is the drawing of a published claim; set to a verified target, it would be "
        "the noise of lmo_dp with another shape"
    }
    needs_search = True

    def mechanism(self, target: Target) -> Mechanism:
        """Return the drawn noise, with the claim for the analysed noise."""
        from lmodp.mechanisms import as_drawn  # slow to import, and not needed to list methods

        analysed, source = lmo_shape(target)
        note, drawn = f"{source}, exponential part drawn with its rate as the mean", as_drawn(analysed)
        return Mechanism(noise=drawn, claim_noise=analysed, published_epsilon_step=target.epsilon, note=note)
