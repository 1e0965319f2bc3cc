"""The stage certify_mechanism: every answer to "what is epsilon?" for one mechanism."""

import math
from collections.abc import Mapping
from typing import Any

from lmodp import accounting
from lmodp.mechanisms import noise_from_dict, released
from lmodp.specs import MechanismSpec

ROUNDING = 1e-6  # relative, of a calibration that ends at its target


def certify_mechanism(spec: MechanismSpec, noise_record: Mapping[str, Any], *, full: bool = False) -> dict[str, Any]:
    """Return the content of ``certificate.json``.

    The certificate is for noise multiplied by the clip norm (relative sensitivity 1), whatever the clip norm is. Where
    a method draws another noise than its claim was computed for, or claims by a formula of its own, ``claimed`` is the
    claim's and everything else is of the noise that is drawn. A mechanism whose upper end is above a "verified" target
    is "failed": at equal targets it would be compared with methods that keep theirs. ``full``: see
    `lmodp.accounting.certificate_of`.
    """
    if noise_record["status"] != "done":
        return {"certificate": None, "status": noise_record["status"], "reason": noise_record["reason"]}
    if noise_record["noise"] is None:
        return {"certificate": None, "noise": None}
    published = noise_record["published_epsilon_step"]
    certificate = accounting.certificate_of(
        spec.plan(**released(noise_record)), published_epsilon_step=published, full=full
    )
    if reason := _above_target(spec, certificate["verified"]):
        return {"certificate": None, "status": "failed", "reason": reason}
    if noise_record["claim_noise"] is not None:
        certificate["claimed"] = accounting.published_claim(
            spec.plan(noise_from_dict(noise_record["claim_noise"])), published_epsilon_step=published
        )
    if noise_record["claim"] is not None:
        certificate["claimed"] = own_claim(noise_record["claim"])
    return {
        "certificate": certificate,
        "noise": noise_record["noise"],
        **({"releases": noise_record["releases"]} if "releases" in noise_record else {}),
        "epsilon_scope": spec.epsilon_scope,
        "rests_on": f"N = {spec.dataset_size} training examples: the sampling rate is {spec.expected_batch_size:g} / "
        f"{spec.dataset_size}, so N counts as public, and the certificate is for this N alone",
    }


def _above_target(spec: MechanismSpec, verified: Mapping[str, Any]) -> str | None:
    """Return the reason if a mechanism that was asked for a verified epsilon has a larger one; where a law has no upper
    end at all, the certificate says so.
    """
    found = math.inf if verified["status"] == "infinite" else verified["upper"]
    if spec.calibration != "verified" or spec.epsilon is None or found is None:
        return None
    if found <= spec.epsilon * (1 + ROUNDING):
        return None
    return (
        f"its verified epsilon is {found:.6g}, above the target {spec.epsilon:g}. Return what target.calibrate() gives "
        "or more noise"
    )


def own_claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return the certificate's ``claimed`` section for a method that claims by a formula of its own.

    Such a formula speaks of the whole run; there is nothing it says of one step.
    """
    unsaid = ("epsilon_step", "order", "order_in_domain", "sigma_classic", "published_epsilon_step")
    return {
        **dict.fromkeys(unsaid),
        "epsilon_run": claim["epsilon"],
        "published_epsilon_run": claim["published_epsilon_run"],
        "formula": claim["formula"],
        "status": "ok" if claim["epsilon"] is not None else "unsupported",
        "reason": claim["reason"] or f"no claim of one step: {claim['formula']}",
    }
