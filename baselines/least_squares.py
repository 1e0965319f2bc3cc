"""Least squares on frozen features: one release of second moments, then a ridge regression."""

from lmodp.methods.contract import Mechanism, Method, Target


class LeastSquares(Method):
    """DP-LS: noisy second moments of the head's input and their products with the labels, solved once.

    One step on all examples is what the paper releases; with more steps the moments of all are added up. The ridge is
    the noise's own spectral norm, and directions of negative moment count as empty (ours: the paper tunes its ridge).
    Features are scaled to norm 1 with a constant beside them, so the clip norm and the optimiser do not matter.
    """

    name = "least_squares"
    title = "Gaussian, least squares"
    reference = "Mehta et al., arXiv 2211.13403"
    calibrations = ("verified",)
    tasks = ("classification",)
    architectures = ("roberta", "bert", "gpt2", "llama")  # heads of one layer, or of two with a tanh between
    trainable = "head"
    forward_passes = 1

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian that reaches the target for the released moments."""
        from lmodp.mechanisms import Moments, Releases  # slow to import, and not needed to list methods

        releases = Releases(step=Moments())
        noise = target.calibrate("gaussian", releases)
        return Mechanism(noise=noise, releases=releases, note="smallest standard deviation within the verified bound")
