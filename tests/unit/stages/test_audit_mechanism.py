"""The audit of a mechanism: what it says, of which delta, and of whose claim."""

import json
import math

import pytest

from lmodp.accounting import certificate_of
from lmodp.accounting.at_delta import accounts_of
from lmodp.errors import InvalidValue, Unsupported
from lmodp.mechanisms import (
    PUBLISHED,
    Banded,
    Differences,
    Gaussian,
    Laplace,
    Moments,
    Quantile,
    Releases,
    as_drawn,
)
from lmodp.plan import Plan
from lmodp.specs import MechanismSpec
from lmodp.stages.audit_mechanism import (
    Sampling,
    audit_mechanism,
    audit_noise,
    canary_of,
    resolved_delta,
    sampling_of,
)
from lmodp.stages.certify_mechanism import own_claim

PLAN = Plan(noise=Gaussian(std=1.3), sampling_rate=0.3, steps=5, delta=1e-6)
FEW = Sampling(trials=4000, seed=1)


def test_fields_and_json():
    audit = audit_noise(PLAN, FEW)
    assert {
        "epsilon_lower",
        "confidence",
        "trials",
        "refutes_claimed",
        "consistent_with_verified",
        "curve",
    } <= audit.keys()
    assert json.loads(json.dumps(audit)) == audit
    assert len(audit["curve"]["false_positive"]) == len(audit["curve"]["verified"])


def test_same_seed_same_answer_other_seed_another():
    first, again, other = (audit_noise(PLAN, Sampling(trials=4000, seed=seed))["epsilon_lower"] for seed in (1, 1, 2))
    assert first == again != other


def test_an_unresolved_delta_is_replaced_and_said():
    audit = audit_noise(PLAN, FEW)
    assert audit["delta"] == 1e-6 and audit["delta_tested"] == resolved_delta(4000) == pytest.approx(
        3 / math.sqrt(4000)
    )
    assert "cannot resolve delta = 1e-06" in audit["delta_note"]


def test_a_resolved_delta_is_kept():
    audit = audit_noise(Plan(noise=Gaussian(std=1.3), sampling_rate=0.3, steps=5, delta=0.1), FEW)
    assert audit["delta_tested"] == 0.1 and audit["claimed"] == audit["at_delta"]["claimed"]
    assert "asked for" in audit["delta_note"]


def test_accounts_are_of_the_delta_that_was_tested():
    audit = audit_noise(PLAN, FEW)
    assert audit["verified"]["upper"] < audit["at_delta"]["verified"]["upper"]
    assert audit["verified"]["lower"] <= audit["verified"]["upper"]


def test_the_certificate_gives_the_accounts_at_its_delta():
    plan = Plan(noise=PUBLISHED["lmo-3"].noise, sampling_rate=0.01, steps=5, delta=1e-6)
    assert audit_noise(plan, FEW)["at_delta"] == accounts_of(certificate_of(plan))


def test_the_claim_may_be_that_of_another_noise():
    drawn = Plan(noise=as_drawn(PUBLISHED["lmo-3"].noise), sampling_rate=0.3, steps=5, delta=1e-6)
    audit = audit_noise(drawn, FEW, claim_noise=PUBLISHED["lmo-3"].noise)
    own = audit_noise(Plan(noise=PUBLISHED["lmo-3"].noise, sampling_rate=0.3, steps=5, delta=1e-6), FEW)
    assert audit["at_delta"]["claimed"] == own["at_delta"]["claimed"]
    assert audit["at_delta"]["verified"] != own["at_delta"]["verified"]


def test_sensitivity_scales_against_the_noise():
    doubled = Plan(noise=Gaussian(std=2.6), sampling_rate=0.3, steps=5, delta=1e-6, clip_norm=2.0, noise_scale=1.0)
    one, other = audit_noise(PLAN, FEW), audit_noise(doubled, FEW)
    assert other["relative_sensitivity"] == 2.0
    assert other["verified"] == pytest.approx(one["verified"]) and other["epsilon_lower"] == pytest.approx(
        one["epsilon_lower"], abs=0.02
    )


SETTINGS = {"trials": 4000, "sampler_trials": 1000, "coordinates": 4, "canaries": 10, "confidence": 0.9}


def mechanism_spec(**changes) -> MechanismSpec:
    fields = {"method": "gaussian", "calibration": "verified", "epsilon": 1.0, "delta": 1e-6, "setting": None}
    plan = {"expected_batch_size": 30.0, "dataset_size": 100, "steps": 5, "search": None, "released": None}
    return MechanismSpec(**{**fields, **plan, **changes})


def test_stage_content():
    spec, noise = mechanism_spec(), Gaussian(std=1.3)
    plan = Plan.for_batches(expected_batch_size=30.0, dataset_size=100, steps=5, delta=1e-6, noise=noise)
    record = {"status": "done", "noise": noise.to_dict(), "claim_noise": None, "claim": None}
    found = audit_mechanism(spec, record, {"certificate": certificate_of(plan)}, settings=SETTINGS, base_seed=3)[
        "audit"
    ]
    assert found["confidence"] == 0.9 and found["coordinates"] == 4
    assert found["sampler"]["trials"] == 1000 and found["sampler"]["consistent_with_verified"]


OWN = {
    "epsilon": 2.0,
    "formula": "a formula of its own",
    "published_epsilon_run": None,
    "reason": "",
    "epsilon_at": [[0.1, 0.4], [0.04, 0.6], [1e-3, 1.5]],
}


def test_an_own_claim_is_compared_at_the_nearest_smaller_delta_it_knows():
    """An epsilon at delta 0.04 is one at every larger delta; the published route has no say."""
    audit = audit_noise(PLAN, FEW, own_claim=OWN)
    assert audit["delta_tested"] == pytest.approx(0.0474, abs=1e-4)
    assert audit["claimed"] == 0.6 and audit["curve"]["claimed"] is not None
    assert "a formula of its own, at delta = 0.04" in audit["claimed_note"]
    assert audit["refutes_claimed"] is (audit["epsilon_lower"] > 0.6)


def test_an_own_claim_at_the_plans_delta_holds_at_larger_ones():
    audit = audit_noise(PLAN, FEW, own_claim={**OWN, "epsilon_at": []})
    assert audit["claimed"] == 2.0 and f"at delta = {PLAN.delta:.3g}" in audit["claimed_note"]


def test_an_own_claim_without_a_known_delta_is_a_note_and_no_number():
    claim = {**OWN, "epsilon": None, "epsilon_at": [[0.1, 0.4]]}
    audit = audit_noise(PLAN, FEW, own_claim=claim)
    assert audit["claimed"] is None and audit["refutes_claimed"] is None and audit["curve"]["claimed"] is None
    assert "not recorded at delta = 0.0474" in audit["claimed_note"]


def test_the_stage_asks_the_methods_own_claim():
    spec, noise = mechanism_spec(), Gaussian(std=1.3)
    plan = Plan.for_batches(expected_batch_size=30.0, dataset_size=100, steps=5, delta=1e-6, noise=noise)
    record = {"status": "done", "noise": noise.to_dict(), "claim_noise": None, "claim": OWN}
    certificate = {**certificate_of(plan), "claimed": own_claim(OWN)}
    found = audit_mechanism(spec, record, {"certificate": certificate}, settings=SETTINGS, base_seed=3)["audit"]
    assert found["claimed"] == 0.6 and found["at_delta"]["claimed"] == 2.0
    assert found["refutes_claimed_at_delta"] is (found["epsilon_lower"] > 2.0)


def test_stage_passes_statuses_on():
    skipped, asked = {"status": "skipped", "reason": "no such noise"}, {"settings": SETTINGS, "base_seed": 3}
    assert audit_mechanism(mechanism_spec(), skipped, {}, **asked) == {"audit": None, **skipped}
    assert audit_mechanism(mechanism_spec(), {"status": "done", "noise": None}, {}, **asked) == {"audit": None}
    done, refused = {"status": "done", "noise": {}}, {"status": "failed", "reason": "its epsilon is above the target"}
    assert audit_mechanism(mechanism_spec(), done, refused, **asked) == {"audit": None, **refused}


def test_seeds_differ_between_mechanisms_and_not_with_the_audits_settings():
    seeds = {sampling_of(mechanism_spec(steps=steps), SETTINGS, 3).seed for steps in (5, 6)}
    assert len(seeds) == 2 and sampling_of(mechanism_spec(), {**SETTINGS, "trials": 8000}, 3).seed in seeds


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trials": 10}, "trials"),
        ({"draw": "laws"}, "Did you mean 'law'"),
        ({"coordinates": 0}, "coordinates"),
        ({"confidence": 1}, "confidence"),
    ],
)
def test_refuses_impossible_samplings(changes, text):
    with pytest.raises(InvalidValue, match=text):
        Sampling(**{"trials": 1000, "seed": 1, **changes})


def test_needs_noise_and_delta_and_draws_only_its_own_law():
    with pytest.raises(InvalidValue, match="noise"):
        audit_noise(Plan(noise=None, sampling_rate=0.3, steps=5, delta=1e-6), FEW)
    with pytest.raises(InvalidValue, match="delta"):
        audit_noise(Plan(noise=Gaussian(std=1.3), sampling_rate=0.3, steps=5), FEW)
    with pytest.raises(InvalidValue, match="coordinates"):
        audit_noise(PLAN, FEW, drawn_noise=Gaussian(std=1.0))


def releasing(noise, steps=6, **releases):
    return Plan(noise=noise, sampling_rate=0.25, steps=steps, delta=1e-6, releases=Releases(**releases))


def test_a_participation_that_the_end_cuts_short_is_no_part_of_the_canary():
    canary = canary_of(releasing(Gaussian(std=1.0), steps=11, correlation=Banded.square_root(4)))
    assert [(phase.steps, phase.sampling_rate) for phase in canary.phases] == [(2, 1.0)]
    assert "knows the group" in canary.known
    plan = releasing(Gaussian(std=1.0), correlation=Banded.square_root(2))
    assert "knows the group" in audit_noise(plan, FEW)["law"]


def test_a_count_beside_the_sum_is_left_out_where_it_fixes_the_direction():
    """Noise that is not alike in all directions: the canary is the gradient alone, and its coordinates."""
    canary = canary_of(releasing(Laplace(scale=1.0), step=Differences(directions=3), clip=Quantile(share=0.5)))
    assert canary.length == pytest.approx(1 / math.hypot(1, 0.5)) and canary.dimension == 3
    whole = canary_of(releasing(Gaussian(std=1.0), step=Differences(directions=3), clip=Quantile(share=0.5)))
    assert (whole.length, whole.dimension, whole.known) == (1.0, 4, "")


@pytest.mark.parametrize(
    "plan",
    [
        releasing(Laplace(scale=1.0), step=Moments()),
        releasing(Laplace(scale=1.0), correlation=Banded.square_root(2)),
        releasing(Gaussian(std=1.0), steps=3, correlation=Banded.square_root(4)),
    ],
)
def test_where_no_worst_case_is_known_the_audit_is_refused(plan):
    with pytest.raises(Unsupported):
        audit_noise(plan, FEW)
