"""PLRV-O, the 2025 successor of LMO-DP: Laplace noise with a Gamma-distributed rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lmodp.data.cards import published_name
from lmodp.methods.contract import CLAIM_DELTAS, Claim, Mechanism, Method, PublishedPoint, Target

if TYPE_CHECKING:
    from lmodp.accounting.claimed.plrv_o import PlrvClaim
    from lmodp.mechanisms import LaplaceMixture, Noise

# Its published points by task; a data set that replaces another one uses that one's points.
POINTS = {
    "sst2": (0.2, 0.5, 1, 2.5),
    "qnli": (0.5, 1, 2.5),
    "e2e": (1, 2.5),
    "dart": (0.2, 0.5, 2.5),
}
SHAPE = 3000  # of the Gamma, in all published settings but two
_SMALLEST, _LARGEST = math.log(1e-9), math.log(1e-3)  # scales of the Gamma that are tried
_NONE = 1e9


class PlrvO(Method):
    """The noise as the paper accounts for it.

    Its published points run in addition, with their own claim for the given run. At
    the grid's targets, the published shape is kept; the Gamma's scale comes from the
    claim's formula (``claimed``) or from the verified bound (``verified``).
    """

    name = "plrv_o"
    title = "PLRV-O"
    reference = "Yang et al., arXiv 2509.06264"
    needs_dimension = True

    def published_points(self, *, dataset: str, dataset_size: int) -> tuple[PublishedPoint, ...]:
        """Return the published points for the data set, at the published delta = 1/(2N)."""
        task = published_name(dataset)
        return tuple(
            PublishedPoint(setting=f"plrv_o-{task}-{epsilon:g}", epsilon=epsilon, delta=1 / (2 * dataset_size))
            for epsilon in POINTS.get(task, ())
        )

    def mechanism(self, target: Target) -> Mechanism:
        """Return the noise that reaches the target, and the epsilon that PLRV-O's formula claims for it."""
        if target.calibration == "verified":
            noise = target.calibrate(gamma_rate(SHAPE, 1 / SHAPE))
            note = f"Gamma rate of shape {SHAPE}, as published, times the smallest scale within the verified bound"
        else:
            noise, note = plrv_noise(target)
        return Mechanism(noise=noise, claim=claim_of(noise, target), note=note)


def gamma_rate(shape: float, scale: float) -> LaplaceMixture:
    """Return Laplace noise whose rate is Gamma(shape, scale)."""
    from lmodp.mechanisms import GammaPart, LaplaceMixture  # slow to import, and not needed to list methods

    return LaplaceMixture(gamma=GammaPart(weight=1.0, shape=shape, scale=scale))


def plrv_noise(target: Target) -> tuple[LaplaceMixture, str]:
    """Return the noise of the published point, or the one that PLRV-O's formula gives for the target."""
    from lmodp.mechanisms import PUBLISHED

    if target.setting is not None:
        return PUBLISHED[target.setting].noise, f"published setting {target.setting!r}"
    note = f"Gamma rate of shape {SHAPE}, as published, at the scale that PLRV-O's formula gives for the target"
    return gamma_rate(SHAPE, scale_for(target)), note


def scale_for(target: Target) -> float:
    """Return the scale of the Gamma at which the claim reaches the target, rounded to the private side.

    Raises:
        Unsupported: PLRV-O's formula stays above the target at any scale.
    """
    from scipy.optimize import brentq

    from lmodp.errors import Unsupported

    def excess(log_scale: float) -> float:
        epsilon = claim_of(gamma_rate(SHAPE, math.exp(log_scale)), target).epsilon
        return math.log((epsilon or _NONE) / target.epsilon)  # there is none where the rate is too large

    if excess(_SMALLEST) > 0:
        raise Unsupported(
            f"epsilon = {target.epsilon:g} cannot be reached by PLRV-O's formula at delta = {target.delta:g}: "
            f"its orders end at 80"
        )
    log_scale = brentq(excess, _SMALLEST, _LARGEST, xtol=1e-9, rtol=1e-9)
    while excess(log_scale) > 0:
        log_scale -= 1e-8
    return math.exp(log_scale)


def claim_of(noise: Noise, target: Target) -> Claim:
    """Return the epsilon that PLRV-O's accountant claims for the whole run."""
    import numpy as np

    from lmodp.accounting.claimed.plrv_o import plrv_o_epsilon
    from lmodp.mechanisms import mixture_of

    law, coordinates = mixture_of(noise), target.given_dimension

    def claimed(delta: float) -> PlrvClaim:
        return plrv_o_epsilon(
            law, coordinates=coordinates, sampling_rate=target.sampling_rate, steps=target.steps, delta=delta
        )

    with np.errstate(over="ignore"):  # an infinite moment is an answer: no epsilon
        found, others = claimed(target.delta), [(delta, claimed(delta).epsilon) for delta in CLAIM_DELTAS]
    formula = f"PLRV-O's sum over {target.dimension} coordinates, of the whole run; no upper bound"
    published = target.epsilon if target.setting else None
    if not math.isfinite(found.epsilon):
        reason = found.reason or "PLRV-O's formula is infinite at every order"
        return Claim(epsilon=None, formula=formula, published_epsilon_run=published, reason=reason)
    positive = tuple((delta, epsilon) for delta, epsilon in others if 0 < epsilon < math.inf)
    return Claim(epsilon=found.epsilon, formula=formula, published_epsilon_run=published, epsilon_at=positive)
