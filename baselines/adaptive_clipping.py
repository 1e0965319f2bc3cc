"""Gaussian noise with a clip norm that follows a private quantile of the gradients' norms."""

from lmodp.methods.contract import Mechanism, Method, Target


class AdaptiveClipping(Method):
    """Two releases a step: the noisy sum, and a noisy count of the norms within the clip norm.

    The clip norm moves geometrically towards the median norm. Sum and count are one vector with one noise, so the noise
    multiplier is that of ``gaussian``, times the clip norm and sqrt(1 + 0.1^2) for the count's share
    (Theorem 1). The configured clip norm is the first one.
    """

    name = "adaptive_clipping"
    title = "Gaussian, adaptive clipping"
    reference = "Andrew et al., arXiv 1905.03871 (algorithm 1)"
    calibrations = ("verified",)

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian that reaches the target for the joint release."""
        from lmodp.mechanisms import Quantile, Releases  # slow to import, and not needed to list methods

        releases = Releases(clip=Quantile(quantile=0.5, rate=0.2, share=0.1))
        noise = target.calibrate("gaussian", releases)
        return Mechanism(noise=noise, releases=releases, note="smallest standard deviation within the verified bound")
