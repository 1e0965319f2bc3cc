"""Gaussian noise under flat clipping, the standard of the field."""

from lmodp.methods.contract import Mechanism, Method, Target


class Gaussian(Method):
    """DP-Adam or DP-SGD with Gaussian noise.

    Under ``claimed`` the classic formula is set to the epsilon of one step, as in
    the published comparison, sigma = sqrt(2 ln(1.25/delta)) / epsilon; it is proved
    for epsilon below 1 only. Under ``verified`` sigma is the smallest whose RDP
    bound of the whole run stays within the target.
    """

    name = "gaussian"
    title = "Gaussian"
    reference = "Abadi et al. 2016; Li et al. 2022"

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian that reaches the target."""
        noise = target.calibrate("gaussian")
        if target.calibration == "claimed":
            proved = "" if target.epsilon < 1 else "; the formula is proved for epsilon < 1 only"
            return Mechanism(
                noise=noise, published_epsilon_step=target.epsilon, note=f"classic formula for one step{proved}"
            )
        return Mechanism(noise=noise, note="smallest standard deviation within the verified bound")


class GaussianVariant(Gaussian):
    """A method that differs from ``gaussian`` in how it trains; its claim *is* a verified epsilon."""

    mechanism_of = "gaussian"
    calibrations = ("verified",)
    not_under = {"claimed": "its published claim is a verified epsilon of the whole run: see calibration 'verified'"}
