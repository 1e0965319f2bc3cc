"""The stage audit_mechanism and the command ``lmodp audit``: a mechanism's claims tried by experiment.

Joins three rooms that do not know each other: accounts of epsilon (`lmodp.accounting`), draws of the device's sampler
(`lmodp.training`) and bounds from scores (`lmodp.auditing`). `lmodp.records.fields` explains every field of an audit.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lmodp.accounting.at_delta import accounts_at, accounts_of
from lmodp.accounting.phases import attains_any_shift
from lmodp.auditing import spherical
from lmodp.auditing.bounds import bound_from_scores, tradeoff_curves
from lmodp.auditing.likelihood import LAW, CanaryScore, StepLaw
from lmodp.errors import Unsupported, require, require_known
from lmodp.mechanisms import Gaussian, Noise, noise_from_dict, released
from lmodp.mechanisms.releases import Fixed
from lmodp.plan import Phase, Plan
from lmodp.records.record import short_hash
from lmodp.seeds import derive_seed
from lmodp.specs import MechanismSpec
from lmodp.training.noise import device_noise
from lmodp.training.probes import draw_scores
from lmodp.training.randomness import stream_key

DRAWS = ("law", "coordinates")
COORDINATES = 16
CONFIDENCE = 0.95
_RESOLVED = 3.0
_COORDINATES = (
    "every coordinate of every noisy sum is drawn by the device's sampler (float32), and each transcript is scored by "
    "its log-likelihood ratio"
)
KNOWN_GROUP = "the adversary knows the group of the example"
WITHOUT_COUNT = "the adversary does not look at the count beside the sum"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How transcripts are drawn; the arguments are those of `audit`."""

    trials: int
    seed: int
    draw: str = "law"
    coordinates: int = COORDINATES
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        remedy = "A million takes seconds with draw 'law'."
        require(self.trials >= 100, "trials", self.trials, "must be at least 100", remedy)
        require_known("draw", self.draw, DRAWS, "is no way to draw")
        require(self.coordinates >= 1, "coordinates", self.coordinates, "must be at least 1")
        require(0 < self.confidence < 1, "confidence", self.confidence, "must be in (0, 1)")


def sampling_of(spec: MechanismSpec, settings: Mapping[str, Any], base_seed: int) -> Sampling:
    """Return how a grid's mechanism is audited; ``settings`` are the configuration's section ``audit``."""
    seed = derive_seed(base_seed, "sampling", audit=short_hash({**spec.identity(), "base_seed": base_seed}))
    return Sampling(
        trials=settings["trials"], seed=seed, coordinates=settings["coordinates"], confidence=settings["confidence"]
    )


def resolved_delta(trials: int) -> float:
    """Return the smallest delta that ``trials`` transcripts resolve: 3/sqrt(trials).

    The bound needs P(S) - delta well above its sampling error, and where the curve is steep P(S) is a few delta. With a
    million trials (delta 0.003) the bound keeps 84 % of the epsilon of mu-Gaussian DP at mu = 0.1, 92 to 94 % at 0.3
    and 1, 86 % at 2; at delta = 1e-5 it would keep 60 to 70 %.
    """
    return _RESOLVED / math.sqrt(trials)


def audit_noise(
    plan: Plan,
    sampling: Sampling,
    *,
    claim_noise: Noise | None = None,
    drawn_noise: Noise | None = None,
    own_claim: Mapping[str, Any] | None = None,
    at_delta: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Audit a plan's mechanism and return the content of an audit; ``plan`` and ``claim_noise`` are those of `audit`.

    ``drawn_noise`` is what is really drawn, where it is not the plan's: a fault on trial. ``own_claim`` and
    ``at_delta`` (the accounts at ``plan.delta``, where they are known) are those of `accounts_at`.
    """
    included, excluded = scores_of_mechanism(plan, sampling, drawn_noise=drawn_noise)
    tested = max(plan.given_delta, resolved_delta(sampling.trials))
    bound = bound_from_scores(included, excluded, delta=tested, confidence=sampling.confidence)
    accounts = accounts_at(plan, tested, claim_noise=claim_noise, own_claim=own_claim)
    asked = at_delta or accounts_at(plan, plan.given_delta, claim_noise=claim_noise, own_claim=own_claim)
    epsilons = {"claimed": accounts["claimed"], "verified": accounts["verified"]["upper"]}
    return {
        "scope": "run",
        "epsilon_lower": bound.epsilon_lower,
        "confidence": bound.confidence,
        **verdict(bound.epsilon_lower, accounts),
        "refutes_claimed_at_delta": exceeds(bound.epsilon_lower, asked["claimed"]),
        **_drawn(sampling, plan),
        "delta": plan.delta,
        "delta_tested": tested,
        "delta_note": _delta_note(plan.given_delta, tested, sampling.trials),
        **accounts,
        "at_delta": asked,
        **{name: getattr(plan, name) for name in ("sampling_rate", "steps", "relative_sensitivity", "adjacency")},
        "sampler_assumed": plan.sampler,
        "test": {
            name: value for name, value in asdict(bound).items() if name not in ("epsilon_lower", "confidence", "delta")
        },
        "curve": tradeoff_curves(included, excluded, delta=tested, epsilons=epsilons),
    }


def audit(
    plan: Plan,
    *,
    trials: int = 1_000_000,
    seed: int = 0,
    draw: str = "law",
    coordinates: int = COORDINATES,
    confidence: float = CONFIDENCE,
    claim_noise: Noise | None = None,
) -> dict[str, Any]:
    """Return a lower bound on a mechanism's epsilon from samples, beside what is claimed and verified.

    A transcript is drawn with or without one worst-case example; a test guesses which, and its errors refute every
    epsilon that would not allow them.

    Args:
        plan: with noise and delta; the whole run of ``steps`` Poisson-sampled sums is audited.
        trials: transcripts in both worlds together, at least 100. A million take seconds and resolve delta = 0.003; a
            smaller delta is tested there.
        seed: of all random numbers; the same seed gives the same bound on one machine.
        draw: "law" draws the law of the log-likelihood ratio; "coordinates" has the device's sampler draw every
            coordinate, which is slower and tries the sampler too.
        coordinates: number of coordinates that the example's gradient is spread over.
        confidence: of the bound, in (0, 1).
        claim_noise: noise that the claim was computed for, where it is not the plan's.

    Returns:
        The audit as plain JSON values: ``epsilon_lower`` at ``delta_tested``, ``claimed``, ``verified`` and whether the
        bound ``refutes_claimed``; `lmodp.records.fields` explains every key.

    Raises:
        InvalidValue: the plan has no noise or no delta, or an argument is outside its range.
        Unsupported: no worst-case example is known for what the plan releases.

    Source:
        docs/audit.md.

    >>> import lmodp
    >>> noise = lmodp.load_noise("lmo-0.3").scaled(0.1)  # a tenth of the noise that is claimed
    >>> plan = lmodp.Plan(noise=noise, sampling_rate=1.0, steps=1, delta=1e-5)
    >>> found = lmodp.audit(plan, trials=100_000, claim_noise=lmodp.load_noise("lmo-0.3"))
    >>> found["refutes_claimed"], found["consistent_with_verified"]
    (True, True)
    """
    sampling = Sampling(trials=trials, seed=seed, draw=draw, coordinates=coordinates, confidence=confidence)
    return audit_noise(plan, sampling, claim_noise=claim_noise)


def _drawn(sampling: Sampling, plan: Plan) -> dict[str, Any]:
    law = LAW if plan.given_noise.independent else spherical.LAW
    return {
        "trials": sampling.trials,
        "seed": sampling.seed,
        "draw": sampling.draw,
        "coordinates": sampling.coordinates,
        "law": "; ".join(filter(None, (law if sampling.draw == "law" else _COORDINATES, canary_of(plan).known))),
    }


def verdict(lower: float, accounts: Mapping[str, Any]) -> dict[str, Any]:
    """Return which stated epsilons the bound ``lower`` refutes; null where none is stated."""
    return {
        "refutes_claimed": exceeds(lower, accounts["claimed"]),
        "refutes_paper_bound": exceeds(lower, accounts["paper_bound"]),
        "consistent_with_verified": not exceeds(lower, accounts["verified"]["upper"]),
    }


def exceeds(lower: float, stated: float | None) -> bool | None:
    """Whether a bound refutes a stated epsilon; None where none is stated."""
    return None if stated is None else lower > stated


def _delta_note(asked: float, tested: float, trials: int) -> str:
    if tested == asked:
        return f"tested at the delta asked for, which {trials} trials resolve"
    return (
        f"{trials} trials cannot resolve delta = {asked:g}; tested at {tested:.3g}, where every accountant's epsilon "
        f"is compared. The bound holds at delta = {asked:g} too, where epsilon can only be larger"
    )


def scores_of_mechanism(
    plan: Plan, sampling: Sampling, *, drawn_noise: Noise | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of transcripts with and without the canary, half of the trials each.

    The log-likelihood ratios of unlike steps are added.
    """
    if sampling.draw == "law":
        require(drawn_noise is None, "draw", "law", "draws the plan's own noise", "Draw coordinates to try another.")
    canary = canary_of(plan)
    found = [
        _scores_of_phase(plan, canary, phase, sampling, drawn_noise, number)
        for number, phase in enumerate(canary.phases)
    ]
    return np.sum([included for included, _ in found], axis=0), np.sum([excluded for _, excluded in found], axis=0)


class Canary(NamedTuple):
    """The worst-case example: length of its shift (1 for the plan's sensitivity), the coordinates that hold it (None
    for many), the steps that it takes part in, and what the adversary knows."""

    length: float
    dimension: int | None
    phases: tuple[Phase, ...]
    known: str = ""


def canary_of(plan: Plan) -> Canary:
    """Return a shift that an example can attain.

    Raises:
        Unsupported: none is known that is spread evenly over coordinates.
    """
    releases, bands = plan.releases, plan.releases.correlation.bands
    if bands > 1:
        whole = plan.steps // bands  # participations of the group that begins; the last one may be cut short
        if not isinstance(plan.noise, Gaussian) or not whole:
            raise Unsupported(f"{releases.correlation.told}: its rows have no known sum in this run")
        alike = tuple(phase._replace(steps=whole) for phase in plan.phases)
        return Canary(plan.relative_sensitivity, releases.dimension, alike, KNOWN_GROUP)
    if attains_any_shift(plan):
        return Canary(plan.relative_sensitivity, releases.dimension, plan.phases)
    alone = replace(plan, releases=replace(releases, clip=Fixed()))
    if not attains_any_shift(alone):
        raise Unsupported(f"{releases.told}: no shift that is spread evenly over coordinates is an example's")
    return Canary(plan.relative_gradient, alone.releases.dimension, plan.phases, WITHOUT_COUNT)


def _scores_of_phase(
    plan: Plan, canary: Canary, phase: Phase, sampling: Sampling, drawn_noise: Noise | None, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of steps that are alike."""
    many = sampling.coordinates if plan.given_noise.independent else 1  # the law of one coordinate is known
    score = CanaryScore(
        noise=plan.given_noise,
        relative_sensitivity=canary.length / phase.noise,
        coordinates=min(many, canary.dimension or many),
        sampling_rate=phase.sampling_rate,
    )
    if sampling.draw == "law":
        law = StepLaw(score) if plan.given_noise.independent else spherical.SphericalLaw(score)
        generator = np.random.Generator(np.random.Philox(sampling.seed + number))
        draws = [
            law.draw(trials=sampling.trials // 2, steps=phase.steps, included=world, generator=generator)
            for world in (True, False)
        ]
    else:
        draws = [
            draw_scores(
                drawn_noise or plan.given_noise,
                shift=score.shift,
                coordinates=score.coordinates,
                sampling_rate=phase.sampling_rate,
                steps=phase.steps,
                trials=sampling.trials // 2,
                included=world,
                key=stream_key(sampling.seed + number, randomness="seeded"),
                of_coordinates=score.of_coordinates,
                of_steps=score.of_steps,
            )
            for world in (True, False)
        ]
    return draws[0], draws[1]


def audit_mechanism(
    spec: MechanismSpec,
    noise_record: Mapping[str, Any],
    certificate: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    base_seed: int,
) -> dict[str, Any]:
    """Return the content of a mechanism's ``audit.json``; ``settings`` are the configuration's section ``audit``."""
    if noise_record["status"] != "done":
        return {"audit": None, "status": noise_record["status"], "reason": noise_record["reason"]}
    if noise_record["noise"] is None:
        return {"audit": None}
    if certificate.get("status", "done") != "done":
        return {"audit": None, "status": certificate["status"], "reason": certificate["reason"]}
    sampling = sampling_of(spec, settings, base_seed)
    plan, claim = spec.plan(**released(noise_record)), noise_record["claim_noise"]
    device_noise(plan.given_noise)  # a law that cannot be drawn is refused before anything is computed
    audit = audit_noise(
        plan,
        sampling,
        claim_noise=noise_from_dict(claim) if claim else None,
        own_claim=noise_record["claim"],
        at_delta=accounts_of(certificate["certificate"]),
    )
    every = replace(sampling, draw="coordinates", trials=settings["sampler_trials"])
    tested = audit["delta_tested"], audit["verified"]["upper"]
    sampler = _audit_sampler(plan, every, *tested) if plan.given_noise.independent else None
    return {"audit": {**audit, "sampler": sampler}}


def _audit_sampler(plan: Plan, sampling: Sampling, delta: float, upper: float | None) -> dict[str, Any]:
    """The short audit in which the device's sampler draws every coordinate."""
    bound = bound_from_scores(*scores_of_mechanism(plan, sampling), delta=delta, confidence=sampling.confidence)
    return {
        "scope": "run",
        "epsilon_lower": bound.epsilon_lower,
        "confidence": bound.confidence,
        "trials": sampling.trials,
        "coordinates": sampling.coordinates,
        "consistent_with_verified": not exceeds(bound.epsilon_lower, upper),
    }
