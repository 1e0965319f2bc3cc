"""Banded correlated noise: what one step adds, later steps take back in part."""

from lmodp.methods.contract import Mechanism, Method, Target


class BandedGaussian(Method):
    """DP-BandMF: Gaussian noise C^-1 Z with a banded Toeplitz C, and sampling in b groups that take turns.

    C holds the first b coefficients of the square root of the matrix of prefix sums. The b is taken whose noise in
    prefix sums has the smallest root mean square at the target; with b = 1 it is the Gaussian of ``gaussian``.
    """

    name = "banded"
    title = "Gaussian, banded"
    reference = "Choquette-Choo et al., arXiv 2306.08153 (DP-BandMF, section 4)"
    calibrations = ("verified",)

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian and the bands whose prefix sums have the least error."""
        from lmodp.mechanisms import Banded, Releases  # slow to import, and not needed to list methods

        errors, answers = {}, {}
        for bands in _candidates(min(target.steps, int(1 / target.sampling_rate))):
            correlation = Banded.square_root(bands)
            releases = Releases(correlation=correlation) if bands > 1 else Releases()
            answers[bands] = (target.calibrate("gaussian", releases), releases)
            errors[bands] = answers[bands][0].std * correlation.prefix_error(target.steps)
        best = min(errors, key=lambda bands: errors[bands])
        noise, releases = answers[best]
        ratio = errors[best] / errors[1]
        note = f"{best} bands of those tried; prefix sums have {ratio:.3g} times the error of independent noise"
        details = {"bands": best, "prefix_error_ratio": ratio}
        return Mechanism(noise=noise, releases=releases, note=note, details=details)


def _candidates(largest: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, ... up to ``largest``."""
    powers = [2**power for power in range(largest.bit_length())]
    return sorted({bands for power in powers for bands in (power, 3 * power // 2) if bands <= largest})
