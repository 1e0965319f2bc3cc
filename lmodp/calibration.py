"""The stage calibrate_noise: from a privacy target to a noise, by the method's own rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmodp.errors import Unsupported
from lmodp.method import Method, Target


def calibrate_mechanism(spec: Mapping[str, Any], method: Method, search: Mapping[str, Any] | None) -> dict[str, Any]:
    """Ask a method for its mechanism and return the content of ``noise.json``.

    Args:
        spec: the mechanism's spec (see ``lmodp.grid``).
        method: the plug-in.
        search: record of search_noise, where the method needs one.

    Returns:
        ``noise`` (or null), ``claim_noise``, ``nominal_step_epsilon``, ``clipping``
        and ``note``; a target that the method cannot reach is a status with the
        method's reason.
    """
    try:
        answer = method.mechanism(_target(spec, search))
    except Unsupported as error:
        return {"noise": None, "status": "skipped", "reason": str(error)}
    return {
        "noise": answer.noise.to_dict() if answer.noise else None,
        "claim_noise": answer.claim_noise.to_dict() if answer.claim_noise else None,
        "nominal_step_epsilon": answer.nominal_step_epsilon,
        "clipping": method.clipping,
        "note": answer.note,
        "search_noise": search["noise"] if search and search["status"] == "done" else None,
    }


def _target(spec: Mapping[str, Any], search: Mapping[str, Any] | None) -> Target | None:
    if spec["calibration"] is None:
        return None
    return Target(
        calibration=spec["calibration"],
        epsilon=spec["epsilon"],
        delta=spec["delta"],
        sampling_rate=spec["expected_batch_size"] / spec["dataset_size"],
        steps=spec["steps"],
        search=search,
    )
