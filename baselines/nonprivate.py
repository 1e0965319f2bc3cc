"""Fine-tuning without clipping and without noise: the reference for the cost of privacy."""

from lmodp.methods.contract import Mechanism, Method, Target


class NonPrivate(Method):
    """No clipping, no noise, no privacy statement."""

    name = "nonprivate"
    title = "non-private"
    reference = "the same training without privacy"
    calibrations = ()
    clipping = "none"

    def mechanism(self, target: Target | None = None) -> Mechanism:
        """Return no noise."""
        return Mechanism(noise=None, note="not private")
