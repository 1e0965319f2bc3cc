"""The three paragraphs follow the records, also when these say the opposite."""

from math import sqrt

import pytest

from lmodp.mechanisms import PUBLISHED, Gaussian, Laplace
from lmodp.reporting.page.answer import MIXTURES, PROOF, PROOF_HEADING, answer
from tests.unit.reporting.fabricated import contrast
from tests.workflow.conftest import ROOT


def cells(results, method, calibration):
    return [cell for cell in results["cells"] if (cell["method"], cell["calibration"]) == (method, calibration)]


def claims(results):
    """The certificates of the published points, as the paragraph on claims reads them."""
    return [results["mechanisms"][cell["mechanism"]] for cell in cells(results, "lmo_dp", "claimed")]


def test_the_paragraphs_of_the_fabricated_numbers(results):
    noise, told, score = answer(results)
    assert noise.startswith(
        "At equal verified ε, proven for the whole run (ε = 0.3 and 3; δ = 1e-10), LMO-DP needs 1.57 and 1.57 times "
        "the Gaussian's noise: more, never less."
    )
    assert f"no mixture of Laplaces can need less than √2 = 1.41 times a Gaussian's (proof: {PROOF})" in noise
    assert told.startswith(
        "The published points of LMO-DP (ε = 0.3 and 3 for one step) claim ε = 0.156 and 1.34 for the whole run. "
        "Verified is [0.563, 0.596] and [17, 19.2]: 2 of 2 claims do not hold, by a factor of at least 3.6 to 12."
    )
    assert told.endswith("the same claims has a verified ε of at most 0.107 and 1.17: LMO-DP spends more at 2 of 2.")
    assert score == (
        "Mean difference in accuracy, LMO-DP minus Gaussian: at equal verified ε (mean over ε = 0.3 and 3) "
        "-1.14 points [-1.31, +0.03] (95 %, 10 seeds, 2,000 examples), no difference shown; "
        "at equal claims (mean over ε = 0.3 and 3) +2.90 points [+1.10, +4.70] (95 %, 10 seeds, 2,000 examples), "
        "LMO-DP is higher."
    )


@pytest.mark.parametrize(
    ("factors", "told"),
    [((0.5, 0.5), "noise: less, never more."), ((0.5, 2.0), "noise. "), ((2.0, 2.0), "noise: more, never less.")],
)
def test_less_noise_is_said_as_plainly_as_more(results, factors, told):
    for factor, cell, standard in zip(
        factors, cells(results, "lmo_dp", "verified"), cells(results, "gaussian", "verified"), strict=False
    ):
        cell["noise_multiplier"] = factor * standard["noise_multiplier"]
    noise = answer(results)[0]
    assert told in noise and ("are of few dimensions, or wrong" in noise) is (min(factors) < sqrt(2))


def test_the_theorem_is_said_of_mixtures_of_laplaces_only(results):
    for cell in cells(results, "lmo_dp", "verified"):
        results["mechanisms"][cell["mechanism"]]["law"] = Gaussian(std=1.0).to_dict()
    assert "mixture" not in answer(results)[0]


def test_laws_of_the_family_are_recognised_as_their_classes_write_them():
    laws = (PUBLISHED["lmo-0.3"].noise, Laplace(scale=1.0))
    assert {law.to_dict()["family"] for law in laws} == MIXTURES


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (1.0002, "ends at a plain Laplace (1.42 times)."),
        (0.9, "finds noise with 0.9 and 0.9 times the standard deviation of a plain Laplace."),
        (1.2, "finds nothing better than a plain Laplace."),
    ],
)
def test_what_the_search_found_is_compared_with_a_plain_laplace(results, share, told):
    """The cells of the Laplace, renamed to those of a search in the family of the method asked about."""
    results["methods"]["laplace"]["noise_of"] = "lmo_dp"
    for cell in cells(results, "laplace", "verified")[:2]:
        results["mechanisms"][cell["mechanism"]]["least_laplace"] = cell["noise_multiplier"] / share
    assert told in answer(results)[0]
    results["methods"]["laplace"]["noise_of"] = None
    assert "search" not in answer(results)[0]


def test_claims_that_hold_are_said_to_hold(results):
    for item in claims(results):
        item["claimed_run"] = 500.0
    assert "2 of 2 claims hold." in answer(results)[1]
    claims(results)[0]["claimed_run"] = 0.58
    assert "1 of 2 claims hold, the others are open." in answer(results)[1]
    claims(results)[0]["claimed_run"] = 0.1
    assert "1 of 2 claims do not hold, by a factor of at least 5.6." in answer(results)[1]


def test_a_method_that_spends_no_more_is_said_to(results):
    for item in claims(results):
        item |= {"verified_lower": 0.01, "verified_upper": 0.02}
    assert answer(results)[1].endswith("LMO-DP is not shown to spend more.")


def test_claims_are_those_of_all_examples_where_tuning_holds_some_out(results):
    before = answer(results)[1]
    names = {cell["mechanism"] for method in ("lmo_dp", "gaussian") for cell in cells(results, method, "claimed")}
    for name in names:
        own = results["mechanisms"][name]
        results["mechanisms"][f"all-{name}"] = dict(own)
        results["mechanisms"][f"other-{name}"] = own | {"dataset_size": 10**6, "claimed_run": 5.0}  # another data set
        own |= {
            "dataset_size": own["dataset_size"] - 2000,
            "claimed_run": 7.0,
            "verified_lower": 1e-3,
            "verified_upper": 500.0,
        }
    assert answer(results)[1] == before


def test_noise_as_drawn_is_no_point_of_the_published_method(results):
    for item in claims(results):
        item["claimed_run"] = None
    assert answer(results)[1] == "No published claim of LMO-DP could be compared with a verified interval."


def test_all_published_points_of_the_plan_are_counted(results):
    (first, *_) = [
        item for item in results["mechanisms"].values() if item["method"] == "lmo_dp" and item["claimed_run"]
    ]
    for number, claim in enumerate((0.2, 9.0)):
        results["mechanisms"][f"more-{number}"] = {
            **first,
            "calibration": "claimed",
            "setting": "s",
            "claimed_run": claim,
        }
    results["mechanisms"]["elsewhere"] = {**first, "calibration": "claimed", "steps": 999}
    assert "Of all 4 published points under this plan, 3 do not hold." in answer(results)[1]


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((0.001, 0.02), ", LMO-DP is higher;"),
        ((-0.02, -0.001), ", LMO-DP is lower;"),
        ((-0.02, 0.001), ", no difference shown;"),
        ((None, None), "(10 seeds), too few seeds;"),
    ],
)
def test_the_verdict_follows_the_pooled_interval(results, ends, told):
    results["contrasts"][0] = contrast("head", "verified", 0.005, *ends)
    assert told in answer(results)[2]


def test_the_two_methods_come_from_the_configuration(results):
    results["compare"] = {"asked": "laplace", "standard": "lmo_dp"}
    noise, told, score = answer(results)
    assert "Laplace needs 0.904 and 0.904 times the LMO-DP's noise: less, never more" in noise
    assert "The published points of Laplace" in told and "Laplace minus LMO-DP" in score
    results["compare"]["asked"] = "absent"
    noise, told, _ = answer(results)
    assert "no target for which the noise of absent and LMO-DP is known" in noise and "claim of absent" in told


def test_a_missing_score_is_said(results):
    results["contrasts"] = []
    told = answer(results)[2]
    assert "at equal verified ε, no target has a score of both; at equal claims, no target has a score of both." in told


def test_the_proof_that_the_sentence_names_is_there():
    text = (ROOT / PROOF).read_text()
    proof = text[text.index(f"## {PROOF_HEADING}") :]
    assert "no mixture of Laplaces needs less than √2 times" in proof
