"""Laplace noise under flat L2 clipping: the simplest competitor of an optimised Laplace mixture."""

from lmodp.methods.contract import Mechanism, Method, Target


class Laplace(Method):
    """DP-Adam with independent Laplace noise in every coordinate.

    Under ``claimed`` the scale is 1 / epsilon, the closed form for one release of
    one number. Under ``verified`` it is the smallest scale whose bound for the whole
    gradient is within the target; this bound depends on the Fisher information.
    """

    name = "laplace"
    title = "Laplace"
    reference = "Dwork et al. 2006; Dong, Su, Zhang 2021 (many dimensions)"

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Laplace that reaches the target."""
        noise = target.calibrate("laplace")
        if target.calibration == "verified":
            return Mechanism(noise=noise, note="smallest scale within the verified bound")
        note = "scale 1/epsilon: one release of one number"
        return Mechanism(noise=noise, published_epsilon_step=target.epsilon, note=note)
