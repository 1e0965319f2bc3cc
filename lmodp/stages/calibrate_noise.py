"""The stage calibrate_noise: from a privacy target to a noise, by the method's own rule."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from lmodp.errors import FOREIGN_ERRORS, LmodpError, Unsupported, describe_error
from lmodp.methods.contract import Claim, Mechanism, Method, Target
from lmodp.records.record import failed
from lmodp.specs import MechanismSpec

if TYPE_CHECKING:
    from lmodp.mechanisms import Noise


def calibrate_noise(
    spec: MechanismSpec,
    method: Method,
    search: Mapping[str, Any] | None,
    *,
    model_folder: Path | None = None,
    dimension: int | None = None,
) -> dict[str, Any]:
    """Ask a method for its mechanism and return the content of ``noise.json``.

    A target that the method cannot reach is "skipped" with the method's reason; a method that raises, or answers with
    something else than a mechanism, is "failed". ``search`` is the record of search_noise, where the method needs one;
    ``dimension`` the number of trained parameters, counted in ``model_folder`` where it is needed and not given.
    """
    try:
        dimension = dimension or _dimension(spec, model_folder)
        target = Target.of(spec, search=search, dimension=dimension)
        answer = Mechanism(noise=None, note="not private") if target is None else method.mechanism(target)
        fault = fault_of(answer, method) or (target and _fault_of_releases(answer, target))
        content = {} if fault else _content(answer, method, target)
    except Unsupported as error:
        return {"noise": None, "status": "skipped", "reason": str(error)}
    except LmodpError as error:
        return {"noise": None, **failed(error)}
    except FOREIGN_ERRORS as error:
        return {"noise": None, **failed(error, f"mechanism() of {method.name!r} raised {describe_error(error)}")}
    if fault:
        return {"noise": None, "status": "failed", "reason": f"mechanism() of {method.name!r} {fault}"}
    return {**content, "dimension": dimension, "epsilon_scope": spec.epsilon_scope}


def _content(answer: Mechanism, method: Method, target: Target | None) -> dict[str, Any]:
    from lmodp.accounting.calibration import why_below

    held = target and target.calibration == "verified" and answer.noise in [noise for noise, _ in target.calibrated]
    return {
        "noise": _law(answer.noise),
        **({"releases": answer.releases.to_dict()} if answer.releases and answer.releases.to_dict() else {}),
        "claim_noise": _law(answer.claim_noise),
        "published_epsilon_step": answer.published_epsilon_step,
        "claim": asdict(answer.claim) if answer.claim else None,
        "clipping": method.clipping,
        "note": "; ".join(filter(None, (answer.note, why_below(answer.noise) if held and answer.noise else ""))),
        "details": dict(answer.details or {}),
    }


def _law(noise: Noise | None) -> dict[str, Any] | None:
    return noise.to_dict() if noise is not None else None


def fault_of(answer: Any, method: Method) -> str | None:
    """Return what is wrong with a method's answer, as the end of a sentence, or None."""
    from lmodp.mechanisms import Noise, Releases  # not needed to list methods, and this module is imported with them

    if not isinstance(answer, Mechanism):
        return f"returned {type(answer).__name__}, must return a Mechanism"
    if method.private and not isinstance(answer.noise, Noise):
        return f"gives noise {answer.noise!r}, must be a Noise where a target is set"
    if not isinstance(answer.releases, (Releases, NoneType)):
        return f"gives releases {answer.releases!r}, must be a Releases or None"
    if not isinstance(answer.claim_noise, (Noise, NoneType)):
        return f"gives claim_noise {answer.claim_noise!r}, must be a Noise or None"
    if not (answer.published_epsilon_step is None or _above_0(answer.published_epsilon_step)):
        return f"gives published_epsilon_step {answer.published_epsilon_step!r}, must be above 0 and finite, or None"
    if not isinstance(answer.note, str):
        return f"gives note {answer.note!r}, must be a text"
    if not isinstance(answer.details, (Mapping, NoneType)) or not _is_json(answer.details):
        return f"gives details {answer.details!r}, must be a table of plain JSON values"
    return None if answer.claim is None else _fault_of_claim(answer.claim)


def _fault_of_claim(claim: Any) -> str | None:
    if not isinstance(claim, Claim):
        return f"gives claim {claim!r}, must be a Claim or None"
    for name in ("epsilon", "published_epsilon_run"):
        value = getattr(claim, name)
        if not (value is None or _above_0(value)):
            return f"claims {name} {value!r}, must be above 0 and finite, or None"
    if not (isinstance(claim.formula, str) and claim.formula and isinstance(claim.reason, str)):
        return f"claims by formula {claim.formula!r} with reason {claim.reason!r}, must be texts, the first not empty"
    pairs = isinstance(claim.epsilon_at, (tuple, list)) and all(
        isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(_finite, pair)) for pair in claim.epsilon_at
    )
    return (
        None if pairs else f"claims epsilon_at {claim.epsilon_at!r}, must be pairs (delta, epsilon) of finite numbers"
    )


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _above_0(value: Any) -> bool:
    return _finite(value) and value > 0


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _fault_of_releases(answer: Mechanism, target: Target) -> str | None:
    """Return what is wrong if the noise was calibrated, or is made, for other releases than those of the answer."""
    from lmodp.mechanisms import DEFAULT, Moments, Spherical

    stated, plain = answer.releases or DEFAULT, "one noisy sum of gradients a step"
    exactly = {releases or DEFAULT for noise, releases in target.calibrated if noise == answer.noise}
    asked = exactly or ({releases or DEFAULT for _, releases in target.calibrated} if stated == DEFAULT else set())
    if asked and stated not in asked:
        other = " or ".join(sorted(releases.told or plain for releases in asked))
        return (
            f"calibrates for releases ({other}) that it does not return ({stated.told or plain}): the plan would be "
            "another. Give the same releases to target.calibrate() and to Mechanism()"
        )
    known = stated.dimension or (target.dimension and target.dimension + stated.per_step - 1)
    if isinstance(answer.noise, Spherical) and stated.step != Moments() and answer.noise.dimension != known:
        return (
            f"gives noise for {answer.noise.dimension} numbers, and a step releases {known or 'as many as are trained'}"
            ". Return the releases that the noise is made for, or set needs_dimension and take target.given_dimension"
        )
    return None


def _dimension(spec: MechanismSpec, model_folder: Path | None) -> int | None:
    """The number of trained parameters, counted on a model without values."""
    if spec.released is None or model_folder is None:
        return None
    from lmodp.models.trainable import trained_parameters  # torch, for the methods that ask only

    asked, prompted = spec.released, spec.released.head is not None
    return trained_parameters(model_folder, card=asked.card, part=asked.trainable, prompted=prompted)
