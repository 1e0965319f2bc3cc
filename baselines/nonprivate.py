"""Fine-tuning without clipping and without noise: the reference for the cost of privacy."""

from lmodp.methods.contract import Method


class NonPrivate(Method):
    """No clipping, no noise, no privacy statement."""

    name = "nonprivate"
    title = "non-private"
    reference = "the same training without privacy"
    calibrations = ()
    clipping = "none"
