"""Gaussian noise under flat clipping, the standard of the field."""

from lmodp.methods.contract import Mechanism, Method, Target


class Gaussian(Method):
    """DP-Adam or DP-SGD with Gaussian noise.

    Under ``claimed`` the classic formula with the epsilon of one step gives the noise
    multiplier, as in the published comparison: sqrt(2 ln(1.25/delta)) / epsilon. The
    formula is proved only for epsilon below 1. Under ``verified`` the noise multiplier
    is the smallest whose RDP bound for the whole run is within the target.
    """

    name = "gaussian"
    title = "Gaussian"
    reference = "Abadi et al. 2016; Li et al. 2022"

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian that reaches the target."""
        noise = target.calibrate("gaussian")
        if target.calibration == "verified":
            return Mechanism(noise=noise, note="smallest standard deviation within the verified bound")
        proved = "" if target.epsilon < 1 else "; the formula is proved for epsilon < 1 only"
        note = f"classic formula for one step{proved}"
        return Mechanism(noise=noise, published_epsilon_step=target.epsilon, note=note)


class GaussianVariant(Gaussian):
    """A method that differs from ``gaussian`` only in how it trains; its published claim is a verified epsilon."""

    mechanism_of: str | None = "gaussian"
    calibrations = ("verified",)
