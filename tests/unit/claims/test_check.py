"""Verdicts: right claims hold, planted wrong ones are found, and what proves nothing is unsupported."""

import math

import pytest

from lmodp.accounting.shuffling import shuffled_interval
from lmodp.claims.check import check_claim
from lmodp.claims.mechanism import mechanism_of
from lmodp.claims.routes import Route, audit_route, library_route, routes_of
from lmodp.claims.schema import Claim, merged, readings_of
from lmodp.claims.verdict import BROKEN, HOLDS, NOT_DP, OPEN, POISSON_ONLY, UNSUPPORTED, ends, judged
from lmodp.mechanisms import Gaussian

PLACE = {"paper": "table 1"}
# Few steps and small losses take a tenth of the time: epsilon is .5785.
SOUND = {
    "paper": "mine", "title": "Mine", "source": "made up", "setting": "one row", "about": "paper",
    "claimed": {"epsilon": 0.6, "delta": 1e-5},
    "release": {"what": "noisy sum", "numbers": "many", "clipping": "example"},
    "noise": {"origin": "printed", "noise_multiplier": 10.0},
    "run": {"sampler": "poisson", "dataset_size": 60000, "batch_size": 30000, "steps": 10},
    "places": [PLACE],
}  # fmt: skip


def checked(**changes):
    return check_claim(readings_of(Claim.model_validate(merged(SOUND, changes))))


def route(lower, upper, name="one"):
    return Route(name=name, how="made up", lower=lower, upper=upper)


@pytest.mark.parametrize(
    ("claimed", "rounded_to", "expected"),
    [
        (2.1, None, HOLDS),
        (2.1, 0.1, HOLDS),
        (2.05, None, OPEN),
        (1.9, None, BROKEN),
        (1.9, 0.1, BROKEN),
        (1.96, 0.1, OPEN),
        (2.06, 0.1, HOLDS),
    ],
)
def test_the_verdict_follows_the_interval_and_never_hangs_on_a_rounding(claimed, rounded_to, expected):
    assert judged(claimed, [route(2.0, 2.1)], rounded_to=rounded_to).verdict == expected


def test_routes_that_contradict_each_other_give_no_verdict():
    found = judged(3.0, [route(2.0, 2.1), route(2.2, 2.3, "two")])
    assert found.verdict == UNSUPPORTED and "contradict" in found.reason


def test_a_claim_with_a_printed_scale_holds_by_two_accountants_that_agree():
    found = checked()
    assert found["verdict"] == HOLDS
    ends = [(item["lower"], item["upper"]) for item in found["readings"][0]["routes"]]
    assert len(ends) == 2 and max(low for low, _ in ends) <= min(up for _, up in ends) < 0.6
    assert found["readings"][0]["routes"][0]["how"] == "both ends by privacy loss on a lattice"
    assert found["review"] == "checked by this suite, not reviewed by others"


@pytest.mark.parametrize(
    "planted",
    [
        {"claimed": {"epsilon": 0.3}},  # an epsilon halved
        {"run": {"batch_size": 60000}},  # a rate doubled
        {"release": {"a_step": 2}},  # a release forgotten
    ],
)
def test_planted_wrong_claims_are_found(planted):
    assert checked(**planted)["verdict"] == BROKEN


def test_what_proves_nothing_is_unsupported_with_what_is_missing():
    calibrated = checked(noise={"origin": "calibrated_here"})
    assert calibrated["verdict"] == UNSUPPORTED and "calibrated" in calibrated["because"]
    for changes, word in ((({"noise": None}), "noise"), ({"run": {"sampler": None, "steps": None}}, "sampler, steps")):
        found = checked(**changes)
        assert found["verdict"] == UNSUPPORTED and word in found["because"]


@pytest.mark.parametrize(
    "finding", ["public_seed", "one_draw_for_all_coordinates", "batch_clipped", "releases_not_composed"]
)
def test_a_fatal_finding_is_the_verdict_on_the_code_and_not_on_the_paper(finding):
    checks = [{"finding": finding, "evidence": "read in the code", "place": PLACE}]
    assert checked(about="code", checks=checks)["verdict"] == NOT_DP
    assert checked(checks=checks)["verdict"] == HOLDS


def test_the_scale_that_a_code_arrives_at_proves_its_claim_and_no_smaller_one():
    by_code = {"accountant": "rdp_classic", "epsilon": 1.0, "delta": 1e-5, "sampling_rate": 0.5, "steps": 10}
    noise = {"origin": "code", "by_code": by_code, "noise_multiplier": None}
    assert checked(noise=noise, claimed={"epsilon": 1.0})["verdict"] == HOLDS
    assert checked(noise=noise, claimed={"epsilon": 0.7})["verdict"] == BROKEN


def test_readings_with_different_verdicts_leave_a_claim_open():
    readings = [{"name": f"{steps} steps", "changes": {"run": {"steps": steps}}} for steps in (10, 100)]
    found = checked(readings=readings)
    assert [item["verdict"] for item in found["readings"]] == [HOLDS, BROKEN]
    assert found["verdict"] == OPEN and "10 steps: holds" in found["because"]


def test_releases_of_another_kind_are_composed():
    """Gaussian releases on all examples: two of multiplier m are one of m / sqrt(2), in closed form."""
    alone = checked(run={"sampler": "full_batch", "batch_size": None, "steps": 3}, noise={"noise_multiplier": 20.0})
    other = {"what": "sums for a batch norm", "noise_multiplier": 20.0, "sampling_rate": 1.0, "steps": 2}
    both = checked(
        run={"sampler": "full_batch", "batch_size": None, "steps": 1}, noise={"noise_multiplier": 20.0}, further=[other]
    )
    low, high = ([item["readings"][0][end] for item in (alone, both)] for end in ("lower", "upper"))
    assert max(low) <= min(high) and high[1] < 1.15 * high[0] and low[1] > 0.7 * low[0]
    assert [item["proven"] for item in both["readings"][0]["routes"]] == [True, True, False]


@pytest.mark.parametrize(("family", "second"), [("gaussian", library_route), ("laplace", audit_route)])
def test_a_second_route_is_left_out_where_it_would_take_all_memory_or_hours(family, second):
    values = merged(SOUND, {"run": {"steps": 10**9}, "noise": {"family": family}})
    found = second(mechanism_of(Claim.model_validate(values)))
    assert (found.lower, found.upper, found.proven) == (None, None, False) and "none: too many steps" in found.how


def test_a_claim_on_shuffled_batches_holds_only_for_poisson_sampling():
    shuffled = {"about": "code", "run": {"sampler": "shuffled", "steps": 100, "batch_size": 600}}
    shuffled["noise"] = {"noise_multiplier": 1.1}
    found = checked(**shuffled, claimed={"epsilon": 3.6})
    assert (
        found["verdict"] == POISSON_ONLY
        and "for shuffled batches whether the claim holds is not known" in found["because"]
    )
    (reading,) = found["readings"]
    assert reading["lower"] < 3.6 < reading["upper"] and reading["as_poisson"][0]["upper"] < 3.6
    assert checked(**shuffled, claimed={"epsilon": 0.2})["verdict"] == BROKEN  # nor for Poisson samples


@pytest.mark.parametrize(
    ("claimed", "expected", "word"), [(30, HOLDS, "most"), (3.6, OPEN, "not known"), (1, BROKEN, "not hold")]
)
def test_a_paper_that_shuffles_is_judged_as_it_is(claimed, expected, word):
    run = {"sampler": "shuffled", "steps": 100, "batch_size": 600}
    found = checked(run=run, noise={"noise_multiplier": 1.1}, claimed={"epsilon": claimed})
    assert found["verdict"] == expected and word in found["because"] and not found["readings"][0]["as_poisson"]


@pytest.mark.parametrize(
    ("sizes", "epochs", "least", "most"),
    [((60000, 256), 15, 15, 15), ((150, 100), 15, 15, 15), ((600, 100), 2.5, 2, 3)],
)
def test_of_shuffled_batches_exactly_the_epochs_that_are_given_are_composed(sizes, epochs, least, most):
    run = {"sampler": "shuffled", "steps": None, "epochs": epochs, "dataset_size": sizes[0], "batch_size": sizes[1]}
    found = routes_of(mechanism_of(Claim.model_validate(merged(SOUND, {"run": run}))))
    batches = sizes[0] // sizes[1]
    steps = [math.ceil(sizes[0] / sizes[1]) * least, batches * most]  # a loader keeps the last batch, or drops it
    rate = sizes[1] / sizes[0]
    low, high = (shuffled_interval(Gaussian(std=10.0), sampling_rate=rate, steps=n, delta=1e-5) for n in steps)
    assert ends(found) == pytest.approx((low.lower, high.upper), rel=1e-3) and f"{most} releases" in found[1].how


def test_several_releases_of_a_step_show_no_lower_end_where_noise_is_not_gaussian():
    """Each has a bound of its own, so that a shift of their joint length cannot lie in one of them alone."""
    laplace = merged(SOUND, {"noise": {"family": "laplace"}, "release": {"a_step": 2}, "run": {"steps": 2}})
    found = routes_of(mechanism_of(Claim.model_validate(laplace)))
    assert ends(found)[0] is None and 0 < ends(found)[1] < math.inf and len(found) == 2
    one = routes_of(mechanism_of(Claim.model_validate(merged(laplace, {"release": {"a_step": 1}}))))
    assert ends(one)[0] > 0


def test_epochs_that_are_no_whole_number_of_steps_count_down_for_the_lower_end():
    def interval(**run):
        return ends(routes_of(mechanism_of(Claim.model_validate(merged(SOUND, {"run": run})))))

    half = interval(steps=None, epochs=5.25)  # 10.5 steps
    assert half == (interval(steps=10)[0], interval(steps=11)[1])
    assert interval(steps=None, epochs=5) == interval(steps=10)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": {"sampler": "fixed_size"}, "claimed": {"adjacency": "replace_one"}},
        {"claimed": {"adjacency": "replace_one"}},
        {"run": {"sampler": "full_batch", "batch_size": 60000}, "claimed": {"adjacency": "replace_one"}},
        {"claimed": {"group_size": 2}},
    ],
)
def test_other_samplers_and_neighbours_have_two_routes_that_agree(changes):
    found = checked(**changes)["readings"][0]
    assert len(found["routes"]) >= 2 and 0 < found["lower"] <= found["upper"], found
    assert found["verdict"] in (HOLDS, BROKEN, OPEN)
    uppers = [item["upper"] for item in found["routes"]]
    assert max(uppers) < 3 * min(uppers)


@pytest.mark.parametrize(
    ("noise", "numbers", "claimed", "expected"),
    [
        ({"law": {"family": "spherical", "dimension": 2, "power": 1.0, "scale": 0.3}}, 2, 60.0, HOLDS),  # at most 1/.3
        ({"law": {"family": "spherical", "dimension": 6, "power": 1.0, "scale": 0.3}}, 6, 0.5, BROKEN),
        ({"law": {"family": "laplace", "scale": 0.0013}}, 1, 1.0, BROKEN),  # its tail has no mass in a double
        ({"law": {"family": "histogram", "width": 1, "masses": [0.25] * 4, "ratio": 0}}, 1, 1.0, BROKEN),
    ],
    ids=["spherical", "spherical, 6", "weak", "bounded"],
)
def test_samples_of_any_law_take_no_proven_verdict_away(noise, numbers, claimed, expected):
    changes = {"noise": {"noise_multiplier": None, **noise}, "release": {"numbers": numbers}}
    run = {"sampler": "full_batch", "dataset_size": 100, "batch_size": None, "steps": 1}
    assert checked(**changes, run=run, claimed={"epsilon": claimed})["verdict"] == expected


def test_what_has_no_sound_bound_is_unsupported():
    mixture = {"point": "lmo-0.3", "noise_multiplier": None}
    for changes in (
        {"noise": mixture, "run": {"sampler": "shuffled"}},
        {"claimed": {"group_size": 2}, "run": {"sampler": "fixed_size"}},
        {"release": {"clipping": "none"}},
        {"claimed": {"delta": 0}},
    ):
        assert checked(**changes)["verdict"] == UNSUPPORTED, changes
