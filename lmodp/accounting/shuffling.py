"""What is known of shuffled batches: an epoch is cut into batches, each example is in one of them.

The upper end uses no amplification. Given the order, an example that is replaced by another one moves one sum an epoch
by up to 2. Where an example is removed, the last one of the order takes its place, so that the last sum of the epoch
moves too, by up to 1. Both data sets must have the same number of batches in an epoch: otherwise the epochs of their
runs end at different steps, and no upper end is known here. The lower end is by an event in each epoch, "the largest
of its sums is at least C" (Chua et al., arXiv 2403.17673), counted over the epochs.
"""

import math
from typing import Any

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import binom

from lmodp.accounting.checks import require_run
from lmodp.accounting.neighbours import both_directions
from lmodp.accounting.pld.bounds import Interval
from lmodp.mechanisms import Gaussian
from lmodp.mechanisms.arrays import Floats

_THRESHOLDS = 2000
_ROUNDING = 1e-9  # of the masses, relatively


def shuffled_interval(
    noise: Gaussian,
    *,
    sampling_rate: float,
    steps: int,
    delta: float,
    epochs: float | None = None,
    replace_one: bool = False,
) -> Interval:
    """Return both ends of epsilon for epochs of shuffled batches, shuffled anew in each epoch.

    Args:
        noise: at sensitivity 1.
        sampling_rate: batch size over data set size; an epoch has so many steps that no example comes twice.
        steps, delta: of the run.
        epochs: of the run, where they are what is known; the steps then count for nothing.
        replace_one: an example is replaced by another one, not removed.

    Raises:
        InvalidValue: an argument is outside its range.
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta)
    batches = _epoch_steps(sampling_rate)
    whole, most = epoch_counts(sampling_rate=sampling_rate, steps=steps, epochs=epochs)
    run: Any = {"sampling_rate": 1.0, "steps": most, "delta": delta}
    upper = both_directions(noise.scaled(1 / epoch_shift(replace_one=replace_one)), **run).upper
    if not whole:  # not one whole epoch: nothing is shown below
        return Interval(0.0, upper)
    present = min(1.0, batches * sampling_rate)
    reach = np.linspace(0.0, 2 + 12 * noise.std, _THRESHOLDS)
    with_example = _largest_above(reach, 2.0, noise.std, batches, present)
    without = _largest_above(reach, 0.0 if replace_one else 1.0, noise.std, batches, present)
    return Interval(_over_epochs(with_example, without, whole, delta), upper)


def epoch_shift(*, replace_one: bool) -> float:
    """Return the largest norm by which all sums of an epoch together move, given the order, in clip norms."""
    return 2.0 if replace_one else math.hypot(2.0, 1.0)


def epoch_counts(*, sampling_rate: float, steps: int, epochs: float | None = None) -> tuple[int, int]:
    """Return how many whole epochs a run has at least, and in how many epochs an example can be used.

    A loader may drop the last, short batch of an epoch or keep it, so an epoch of known batches is known within one
    step; epochs that are given are taken as they are.
    """
    if epochs is not None:
        return math.floor(epochs), math.ceil(epochs)
    return steps // math.ceil(1 / sampling_rate - 1e-9), math.ceil(steps / _epoch_steps(sampling_rate))


def _epoch_steps(sampling_rate: float) -> int:
    """Return the number of whole batches that an epoch has."""
    return math.floor(1 / sampling_rate + 1e-9)


def _largest_above(reach: Floats, shift: float, std: float, batches: int, present: float) -> Floats:
    """P(largest of ``batches`` sums >= C), one sum shifted with probability ``present``, for each C of ``reach``."""
    others = (batches - 1) * log_ndtr(reach / std)
    shifted, still = others + log_ndtr((reach - shift) / std), others + log_ndtr(reach / std)
    found: Floats = -present * np.expm1(shifted) - (1 - present) * np.expm1(still)
    return found


def _over_epochs(with_example: Floats, without: Floats, epochs: int, delta: float) -> float:
    """Return the largest epsilon that an event "in at least k epochs" shows, over all thresholds and k."""
    best = 0.0
    for k in range(1, min(epochs, 100) + 1):
        hits = binom.sf(k - 1, epochs, with_example) * (1 - _ROUNDING) - delta
        false_hits = binom.sf(k - 1, epochs, without) * (1 + _ROUNDING)
        shown = (hits > 0) & (false_hits > 0)
        if shown.any():
            best = max(best, float(np.max(np.log(hits[shown]) - np.log(false_hits[shown]))))
    return best
