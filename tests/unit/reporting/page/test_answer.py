"""The three sentences follow the numbers, also when these turn round."""

from lmodp.reporting.page.answer import answer, question


def cells(results, method, calibration):
    return [cell for cell in results["cells"] if (cell["method"], cell["calibration"]) == (method, calibration)]


def test_the_sentences_of_the_fabricated_numbers(results):
    claimed, verified, holds = answer(results)
    assert "not equally private: LMO-DP spends more" in claimed and "[0.564, 0.595]" in claimed
    assert "-1.1 points at ε = 0.3" in verified and "too few for an interval" in verified
    counted = "For 4 of 4 mechanisms with LMO-DP noise (LMO-DP at ε = 0.3 and 3; LMO-DP as drawn at ε = 0.3 and 3), "
    assert holds.startswith(counted) and "not a valid guarantee" in holds


def test_a_method_counts_by_the_noise_it_says_it_has_not_by_its_name(results):
    """A user's ``lmo_dp_mine`` may be anything; a published point counts apart from the grid's targets."""
    for cell in cells(results, "lmo_dp_as_drawn", "claimed"):
        cell["method"] = "lmo_dp_mine"
    results["methods"]["lmo_dp_mine"] = {**results["methods"].pop("lmo_dp_as_drawn"), "noise_of": None}
    cells(results, "lmo_dp", "claimed")[1]["setting"] = "figure6-3"
    holds = answer(results)[2]
    assert "of 2 mechanisms with LMO-DP noise (LMO-DP at ε = 0.3 and at 1 published point), " in holds
    results["methods"]["lmo_dp_mine"]["noise_of"] = "lmo_dp"
    assert "of 4 mechanisms with LMO-DP noise" in answer(results)[2]


def test_the_two_methods_come_from_the_configuration(results):
    results["compare"] = {"asked": "laplace", "standard": "lmo_dp"}
    assert "with Laplace noise, compared with LMO-DP noise" in question(results)
    claimed, verified, holds = answer(results)
    assert "Laplace reaches 66.0 and 73.5 % accuracy and the LMO-DP" in claimed and "Laplace minus LMO-DP" in verified
    assert "mechanisms with Laplace noise (Laplace at ε = 0.3 and 3)" in holds
    results["compare"]["asked"] = "absent"
    assert "for which both absent and the LMO-DP have a score" in answer(results)[0]


def test_they_turn_with_the_numbers(results):
    for cell in cells(results, "lmo_dp", "claimed"):
        cell |= {"verified_lower": 0.01, "verified_upper": 0.02}
    for name in ("lmo_dp", "lmo_dp_as_drawn"):
        for cell in cells(results, name, "claimed"):
            cell |= {"claimed_run": 500.0}
    claimed, _, holds = answer(results)
    assert "LMO-DP spends less" in claimed
    assert "at or above the verified upper bound for 4 of 4" in holds and "not a valid guarantee" not in holds


def test_overlapping_intervals_are_not_told_apart(results):
    for cell in cells(results, "lmo_dp", "claimed") + cells(results, "gaussian", "claimed"):
        cell |= {"verified_lower": 1.0, "verified_upper": 2.0}
    assert "the verified intervals overlap" in answer(results)[0]


def test_a_missing_score_is_said(results):
    for cell in results["cells"]:
        if cell["method"] == "gaussian":
            cell["scores"][cell["metric"]]["mean"] = None
    claimed, verified, _ = answer(results)
    assert "no target" in claimed and "no target" in verified


def test_an_interval_is_quoted_with_its_verdict(results):
    asked, standard = cells(results, "lmo_dp", "verified")[0], cells(results, "gaussian", "verified")[0]
    item = {"cell": asked["cell"], "against_cell": standard["cell"], "lower": -0.02, "upper": -0.004, "separated": True}
    results["comparisons"] = [item]
    told = answer(results)[1]
    assert "(95 % interval -2.0 to -0.4)" in told and "The interval excludes zero." in told
    results["comparisons"] = [{**item, "upper": 0.004, "separated": False}]
    told = answer(results)[1]
    assert "(95 % interval -2.0 to +0.4)" in told and "The interval contains zero." in told


def test_several_intervals_share_one_verdict(results):
    both = zip(cells(results, "lmo_dp", "verified")[:2], cells(results, "gaussian", "verified")[:2], strict=True)
    items = [{"cell": a["cell"], "against_cell": b["cell"], "lower": -0.02, "upper": -0.004} for a, b in both]
    for separated, verdict in (
        ((True, True), "All these intervals exclude zero."),
        ((False, False), "All these intervals contain zero."),
        ((False, True), "Only the interval at ε = 3 excludes zero."),
    ):
        results["comparisons"] = [{**item, "separated": apart} for item, apart in zip(items, separated, strict=True)]
        assert answer(results)[1].endswith(verdict)
