"""Zeroth-order fine-tuning: one noisy loss difference a step, along a public random direction."""

from lmodp.methods.contract import Mechanism, Method, Target


class ZerothOrder(Method):
    """DP-ZO with Gaussian noise, K = 1; a subclass may set another K or shape.

    A step releases K sums of loss differences, clipped as one vector of K numbers (K = 1: DP-ZO, algorithm 1; larger
    K: DP-AggZO). So the certificate is for K coordinates. The configured clip norm bounds an example's vector of
    loss differences, not its gradient; plain SGD updates the weights in place.
    """

    name = "zeroth_order"
    title = "zeroth order, Gaussian"
    reference = "Tang et al., arXiv 2401.04343; Zhang et al., arXiv 2310.09639; Bao et al., USENIX Security 2025"
    calibrations = ("verified",)
    forward_passes = 2  # for each direction
    _directions = 1
    _smoothing = 1e-3  # as in the public code of DPZero
    _shape = "gaussian"

    def mechanism(self, target: Target) -> Mechanism:
        """Return the noise that reaches the target for K released numbers."""
        from lmodp.mechanisms import Differences, Releases  # slow to import, and not needed to list methods

        releases = Releases(step=Differences(directions=self._directions, smoothing=self._smoothing))
        note = f"smallest scale within the verified bound for {self._directions} numbers"
        return Mechanism(noise=target.calibrate(self._shape, releases), releases=releases, note=note)
