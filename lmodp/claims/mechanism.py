"""From a claim's settings to what accountants take: noise at sensitivity 1, rate, steps, delta."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from lmodp.accounting.checks import Run
from lmodp.accounting.gaussian import gaussian_pld_epsilon
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Laplace, Noise, load_noise, noise_from_dict

if TYPE_CHECKING:
    from lmodp.claims.schema import Claim, NoiseSpec

# The orders of the widespread RDP accountants (TensorFlow Privacy, Opacus and what was derived from them).
CUSTOMARY_ORDERS = (*(1 + x / 10 for x in range(1, 100)), *range(12, 64))
_PRECISION = 1e-5  # of the logarithm of a noise scale
_STRIDE, _SMALLEST, _LARGEST = 0.2, -4.0, 12.0  # of the same; the library takes minutes below


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """What is judged.

    Args:
        weak, strong: the least and the largest noise that the claim's settings allow, at sensitivity 1; the same
            law unless the scale is known within a rounding or a tolerance only.
        run: rate, steps and delta.
        dimension: coordinates that a step releases; None for many.
        sampler, adjacency, group_size: as in the claim.
        further: Gaussian releases of another kind: noise multiplier, sampling rate, steps.
        fewest_steps: the steps of the lower end; less than those of ``run`` where epochs are no whole number of steps.
        epochs: where the claim gives them in place of steps. Shuffled batches are counted by them, not by steps.
        a_step: releases of one step, each within its own part of the sensitivity.
    """

    weak: Noise
    strong: Noise
    run: Run
    dimension: int | None
    sampler: str
    adjacency: str
    group_size: int
    fewest_steps: int
    further: tuple[tuple[float, float, int], ...] = ()
    epochs: float | None = None
    a_step: int = 1


def lacking(claim: Claim) -> list[str]:
    """Return the settings that a check needs and the claim does not give."""
    run, rate = claim.run, claim.run.sampling_rate is not None or claim.run.sampler == "full_batch"
    needed = {
        "delta": claim.claimed.delta,
        "noise": claim.noise,
        "clipping": claim.release.clipping,
        "sampler": run.sampler,
        "dataset_size": run.dataset_size or rate or None,
        "batch_size": run.batch_size or rate or None,
        "steps or epochs": run.steps or run.epochs,
    }
    return [name for name, value in needed.items() if value is None]


def mechanism_of(claim: Claim) -> Mechanism:
    """Return what a claim without lacking settings describes.

    Several releases of one step are of the same batch. So K of them, each within the sensitivity, are one release
    within sqrt(K) times the sensitivity (docs/verified_bounds.md bounds every direction of that length).
    """
    release, run, sampler = claim.release, claim.run, claim.run.sampler
    assert claim.noise and claim.claimed.delta is not None and sampler
    length = release.sensitivity * math.sqrt(release.a_step)
    weak, strong = (noise.scaled(1 / length) for noise in _noises(claim.noise))
    rate = 1.0
    if sampler != "full_batch":
        rate = run.sampling_rate or run.batch_size / run.dataset_size  # type: ignore[operator]
    counted = run.steps or run.epochs / rate  # type: ignore[operator]
    steps = math.ceil(counted - 1e-9)
    return Mechanism(
        weak=weak,
        strong=strong,
        run={"sampling_rate": rate, "steps": steps, "delta": claim.claimed.delta},
        dimension=None if release.numbers == "many" else release.numbers * release.a_step,
        sampler=sampler,
        adjacency=claim.claimed.adjacency,
        group_size=claim.claimed.group_size,
        fewest_steps=max(math.floor(counted + 1e-9), 1),
        further=tuple((item.noise_multiplier, item.sampling_rate, item.steps) for item in claim.further),
        epochs=run.epochs,
        a_step=release.a_step,
    )


def _noises(spec: NoiseSpec) -> tuple[Noise, Noise]:
    if spec.point is not None:
        return (load_noise(spec.point),) * 2
    if spec.law is not None:
        return (noise_from_dict(spec.law),) * 2
    if spec.by_code is not None:
        least, most = scales_by_code(**spec.by_code.model_dump())
        return Gaussian(std=least), Gaussian(std=most)
    assert spec.noise_multiplier is not None
    unit: Mapping[str, Noise] = {"gaussian": Gaussian(std=1.0), "laplace": Laplace(scale=math.sqrt(0.5))}
    half = (spec.rounded_to or 0.0) / 2
    low, high = (unit[spec.family].scaled(spec.noise_multiplier + side) for side in (-half, half))
    return low, high


@lru_cache(maxsize=64)
def scales_by_code(
    *,
    accountant: str,
    epsilon: float,
    delta: float,
    sampling_rate: float,
    steps: int,
    tolerance: float,
    tolerance_above: float,
) -> tuple[float, float]:
    """Return the range of Gaussian noise multipliers that a code with this accountant can arrive at.

    How it searches is left open: any scale whose epsilon is at most ``tolerance`` below the target, or
    ``tolerance_above`` above it, lies in the range.
    """

    if tolerance >= epsilon:
        raise Unsupported(f"noise.by_code.tolerance = {tolerance!r}: must be below epsilon = {epsilon!r}")
    run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    least, most = (
        _scale_by_code(accountant, target, **run) for target in (epsilon + tolerance_above, epsilon - tolerance)
    )
    return least * math.exp(-_PRECISION), most * math.exp(_PRECISION)


def _scale_by_code(accountant: str, target: float, **run: Any) -> float:
    """Return the noise multiplier at which the accountant's epsilon is ``target``."""

    def excess(log_scale: float) -> float:
        return _epsilon_by_code(accountant, math.exp(log_scale), **run) - target

    # A privacy loss distribution is slow far below its scale, which is at most that of the divergences.
    low = high = math.log(_scale_by_code("rdp", target, **run)) if accountant == "pld" else 0.0
    while excess(high) > 0 and high < _LARGEST:
        high += _STRIDE
    while excess(low) < 0 and low > _SMALLEST:
        low -= _STRIDE
    if high >= _LARGEST or low <= _SMALLEST:
        least, most = math.exp(_SMALLEST), math.exp(_LARGEST)
        raise Unsupported(
            f"noise.by_code.epsilon = {target:g}: this accountant has it at no scale from {least:.2g} to {most:.2g}"
        )
    return math.exp(brentq(excess, low, high, xtol=_PRECISION))


def _epsilon_by_code(accountant: str, scale: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    if accountant == "pld":
        return gaussian_pld_epsilon(
            noise_multiplier=scale, sampling_rate=sampling_rate, steps=steps, delta=delta, interval=1e-4
        )
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    known = RdpAccountant(CUSTOMARY_ORDERS)
    known.compose(PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(scale)), steps)
    if accountant == "rdp":
        return float(known.get_epsilon(delta))
    return float(np.min(known.rdp - math.log(delta) / (np.array(CUSTOMARY_ORDERS) - 1)))  # Mironov 2017, Prop. 3
