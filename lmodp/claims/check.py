"""The stage check_claim: routes, interval and verdict of one claim, as a record in ``results/claims/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from lmodp.claims.mechanism import lacking, mechanism_of
from lmodp.claims.routes import routes_of
from lmodp.claims.verdict import FATAL, NOT_DP, UNSUPPORTED, Verdict, common, ends, judged, judged_shuffled
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
    found: dict[str, Any] = {"settings": None, "lower": None, "upper": None, "routes": [], "as_poisson": []}
    if refused := _refused(claim):
        verdict = refused
    else:
        try:
            verdict = _computed(claim, found)
        except (Unsupported, InvalidValue) as error:
            verdict = Verdict(UNSUPPORTED, str(error))
    claimed = claim.claimed
    return {
        **{"epsilon": claimed.epsilon, "delta": claimed.delta, **found},
        **{"verdict": verdict.verdict, "because": verdict.reason},
    }


def _refused(claim: Claim) -> Verdict | None:
    """Return the verdict where there is nothing to compute."""
    fatal = [FATAL[item.finding] for item in claim.checks if item.finding in FATAL]
    if claim.about == "code" and fatal:
        return Verdict(NOT_DP, "; ".join(fatal))
    if missing := lacking(claim):
        return Verdict(UNSUPPORTED, f"not written in any source that was found: {', '.join(missing)}")
    if claim.noise and claim.noise.origin == "calibrated_here":
        return Verdict(UNSUPPORTED, "the noise scale was calibrated to the claimed epsilon here, which proves nothing")
    if claim.release.clipping != "example":
        return Verdict(UNSUPPORTED, "nothing bounds the share of one example: examples are not clipped")
    return None


def _computed(claim: Claim, found: dict[str, Any]) -> Verdict:
    """Return the verdict from the routes, and enter into ``found`` what they find."""
    asked, claimed = mechanism_of(claim), claim.claimed
    found["settings"] = {
        "noise": [asked.weak.to_dict(), asked.strong.to_dict()],
        **asked.run,
        **({"epochs": asked.epochs} if asked.epochs and asked.sampler == "shuffled" else {}),
        **{name: getattr(asked, name) for name in ("dimension", "sampler", "adjacency", "group_size", "further")},
    }
    routes = routes_of(asked)
    lower, upper = ends(routes)
    found |= {"routes": [asdict(route) for route in routes], "lower": lower, "upper": upper}
    if asked.sampler != "shuffled":
        return judged(claimed.epsilon, routes, rounded_to=claimed.rounded_to)
    # The customary accountants of code are those of Poisson samples. A paper that shuffles is taken at its word.
    as_poisson = claim.about == "code" or (claim.noise is not None and claim.noise.by_code is not None)
    poisson = routes_of(replace(asked, sampler="poisson")) if as_poisson else []
    found["as_poisson"] = [asdict(route) for route in poisson]
    return judged_shuffled(claimed.epsilon, routes, poisson, rounded_to=claimed.rounded_to)
