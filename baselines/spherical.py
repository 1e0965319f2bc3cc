"""Spherical noise: the density is a function of the norm, exp(-(|x|/s)^power) over all trained parameters."""

import math

from lmodp.methods.contract import Mechanism, Method, Target


class Spherical(Method):
    """One draw of a whole vector a step, in a uniform direction and of a norm of its own.

    Of the powers 1 (the l2 mechanism) and 2 (the Gaussian) the one that needs the smallest standard deviation
    within the target is taken. The paper's family has a Gamma exponent more; it puts a pole or a hole at the centre,
    for which the suite proves nothing. That the exact accountant needs no more than one integral a mass, and that the
    full shift is the worst, is shown in docs/verified_bounds.md.
    """

    name = "spherical"
    title = "Spherical"
    reference = "arXiv 2606.08681; Joseph, Ribero, Yu, ICML 2025"
    calibrations = ("verified",)
    needs_dimension = True

    def mechanism(self, target: Target) -> Mechanism:
        """Return the spherical noise of least standard deviation that reaches the target."""
        from lmodp.mechanisms import Spherical as Law

        dimension = target.given_dimension
        l2, gaussian = target.calibrate(Law(dimension=dimension, power=1.0, scale=1.0)), target.calibrate("gaussian")
        noises = {1.0: l2, 2.0: Law(dimension=dimension, power=2.0, scale=math.sqrt(2) * gaussian.std)}
        power = min(noises, key=lambda power: noises[power].std)
        stds = {f"{power:g}": noise.std for power, noise in noises.items()}
        note = f"power {power:g} of {', '.join(stds)} needs the smallest standard deviation within the verified bound"
        return Mechanism(noise=noises[power], note=note, details={"standard_deviation_by_power": stds})
