"""The stage calibrate_noise: from a privacy target to a noise, by the method's own rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.errors import FOREIGN_ERRORS, LmodpError, Unsupported, describe_error
from lmodp.methods.contract import Mechanism, Method, Target
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
    dimension = dimension or _dimension(spec, model_folder)
    try:
        target = Target.of(spec, search=search, dimension=dimension)
        answer = Mechanism(noise=None, note="not private") if target is None else method.mechanism(target)
    except Unsupported as error:
        return {"noise": None, "status": "skipped", "reason": str(error)}
    except LmodpError as error:
        return {"noise": None, **failed(error)}
    except FOREIGN_ERRORS as error:
        return {"noise": None, **failed(error, f"mechanism() of {method.name!r} raised {describe_error(error)}")}
    fault = fault_of(answer, method)
    if fault:
        return {"noise": None, "status": "failed", "reason": fault}
    return {**_content(answer, method), "dimension": dimension, "epsilon_scope": spec.epsilon_scope}


def _content(answer: Mechanism, method: Method) -> dict[str, Any]:
    return {
        "noise": _law(answer.noise),
        **({"releases": answer.releases.to_dict()} if answer.releases and answer.releases.to_dict() else {}),
        "claim_noise": _law(answer.claim_noise),
        "published_epsilon_step": answer.published_epsilon_step,
        "claim": asdict(answer.claim) if answer.claim else None,
        "clipping": method.clipping,
        "note": answer.note,
        "details": dict(answer.details or {}),
    }


def _law(noise: Noise | None) -> dict[str, Any] | None:
    return noise.to_dict() if noise is not None else None


def fault_of(answer: Any, method: Method) -> str | None:
    """Return what is wrong with a method's answer, or None."""
    from lmodp.mechanisms import Noise  # not needed to list methods, and this module is imported with them

    if not isinstance(answer, Mechanism):
        return f"mechanism() of {method.name!r} returned {type(answer).__name__}, must return a Mechanism"
    if method.private and not isinstance(answer.noise, Noise):
        return f"mechanism() of {method.name!r} gives noise {answer.noise!r}, must be a Noise where a target is set"
    if answer.claim is not None and answer.claim.epsilon is not None and not 0 < answer.claim.epsilon < math.inf:
        return (
            f"mechanism() of {method.name!r} claims epsilon {answer.claim.epsilon!r}, must be above 0 and finite, or "
            "None"
        )
    return None


def _dimension(spec: MechanismSpec, model_folder: Path | None) -> int | None:
    """The number of trained parameters, counted on a model without values."""
    if spec.released is None or model_folder is None:
        return None
    from lmodp.models.counting import trained_parameters  # torch, for the methods that ask only

    asked, prompted = spec.released, spec.released.head is not None
    return trained_parameters(model_folder, card=asked.card, part=asked.trainable, prompted=prompted)
