"""The stage check_claim: routes, interval and verdict of one claim, as a record in ``results/claims/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lmodp.claims.mechanism import lacking, mechanism_of
from lmodp.claims.routes import Route, routes_of
from lmodp.claims.verdict import FATAL, NOT_DP, UNSUPPORTED, Verdict, common, judged
from lmodp.errors import InvalidValue, Unsupported

if TYPE_CHECKING:
    from lmodp.claims.schema import Claim

UNREVIEWED = "checked by this suite, not reviewed by others"


def check_claim(readings: Mapping[str, Claim]) -> dict[str, Any]:
    """Return the content of a claim's record.

    Args:
        readings: the claim under each of its readings by name (`lmodp.claims.schema.readings_of`).
    """
    found = {name: _reading(claim) for name, claim in readings.items()}
    verdict = common({name: Verdict(item["verdict"], item["because"]) for name, item in found.items()})
    claim = next(iter(readings.values()))
    return {
        "review": f"reviewed by {', '.join(item.by for item in claim.reviews)}" if claim.reviews else UNREVIEWED,
        "verdict": verdict.verdict,
        "because": verdict.reason,
        "readings": [{"name": name, **item} for name, item in found.items()],
    }


def _reading(claim: Claim) -> dict[str, Any]:
    verdict, settings, routes = _judged(claim)
    proven = routes[0] if routes else None
    return {
        "epsilon": claim.claimed.epsilon,
        "delta": claim.claimed.delta,
        "settings": settings,
        "lower": proven.lower if proven else None,
        "upper": proven.upper if proven else None,
        "routes": [asdict(route) for route in routes],
        "verdict": verdict.verdict,
        "because": verdict.reason,
    }


def _judged(claim: Claim) -> tuple[Verdict, dict[str, Any] | None, list[Route]]:
    fatal = [FATAL[item.finding] for item in claim.checks if item.finding in FATAL]
    if claim.about == "code" and fatal:
        return Verdict(NOT_DP, "; ".join(fatal)), None, []
    if missing := lacking(claim):
        return Verdict(UNSUPPORTED, f"not written in any source that was found: {', '.join(missing)}"), None, []
    if claim.noise and claim.noise.origin == "calibrated_here":
        reason = "the noise scale was calibrated to the claimed epsilon here, which proves nothing about the source"
        return Verdict(UNSUPPORTED, reason), None, []
    if claim.release.clipping != "example":
        return Verdict(UNSUPPORTED, "nothing bounds the share of one example: examples are not clipped"), None, []
    try:
        asked = mechanism_of(claim)
        routes = routes_of(asked)
    except (Unsupported, InvalidValue) as error:
        return Verdict(UNSUPPORTED, str(error)), None, []
    settings = {
        "noise": [asked.weak.to_dict(), asked.strong.to_dict()],
        "sampling_rate": asked.run["sampling_rate"],
        "steps": asked.run["steps"],
        "dimension": asked.dimension,
        "sampler": asked.sampler,
        "adjacency": asked.adjacency,
        "group_size": asked.group_size,
    }
    return judged(claim.claimed.epsilon, routes, rounded_to=claim.claimed.rounded_to), settings, routes
