"""The three sentences follow the numbers, also when these turn round."""

from lmodp.reporting.page.answer import answer


def cells(results, method, calibration):
    return [cell for cell in results["cells"] if (cell["method"], cell["calibration"]) == (method, calibration)]


def test_the_sentences_of_the_fabricated_numbers(results):
    claimed, verified, holds = answer(results)
    assert "not equally private: LMO-DP spends more" in claimed and "[0.564, 0.595]" in claimed
    assert "at ε = 0.3 a difference of -1.1 points" in verified and "too few for an interval" in verified
    assert "in 4 of 4 settings" in holds and "no bound" in holds


def test_they_turn_with_the_numbers(results):
    for cell in cells(results, "lmo_dp", "claimed"):
        cell |= {"verified_lower": 0.01, "verified_upper": 0.02}
    for name in ("lmo_dp", "lmo_dp_as_drawn"):
        for cell in cells(results, name, "claimed"):
            cell |= {"claimed_run": 500.0}
    claimed, _, holds = answer(results)
    assert "LMO-DP spends less" in claimed
    assert "at or above the verified upper bound in 4 of 4" in holds and "no bound" not in holds


def test_overlapping_intervals_are_not_told_apart(results):
    for cell in cells(results, "lmo_dp", "claimed") + cells(results, "gaussian", "claimed"):
        cell |= {"verified_lower": 1.0, "verified_upper": 2.0}
    assert "do not tell them apart" in answer(results)[0]


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
    assert "(95 % interval -2.0 to -0.4), which separates them" in answer(results)[1]
    results["comparisons"] = [{**item, "upper": 0.004, "separated": False}]
    assert "-2.0 to +0.4), which does not separate them" in answer(results)[1]
