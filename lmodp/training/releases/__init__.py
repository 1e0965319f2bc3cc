"""The engine's counterpart of `lmodp.mechanisms.releases`: one small object for each part.

`SUMS` says what a step sums up, `NORMS` how the clip norm is set, `STREAMS` how the noise of the steps hangs together.
A part of one's own needs an entry here.
"""

from lmodp.mechanisms.releases import Banded, Differences, Fixed, Gradient, Independent, Moments, Part, Quantile
from lmodp.training.releases.differences import DifferenceSums
from lmodp.training.releases.moments import MomentSums
from lmodp.training.releases.norms import FixedNorm, QuantileNorm
from lmodp.training.releases.streams import BandedNoise, IndependentNoise
from lmodp.training.releases.sums import ClippedSums

SUMS: dict[type[Part], type[ClippedSums]] = {Gradient: ClippedSums, Differences: DifferenceSums, Moments: MomentSums}
NORMS: dict[type[Part], type[FixedNorm]] = {Fixed: FixedNorm, Quantile: QuantileNorm}
STREAMS: dict[type[Part], type[IndependentNoise]] = {Independent: IndependentNoise, Banded: BandedNoise}
