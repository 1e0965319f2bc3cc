"""Two results folders: computed answers agree to rounding, scores within the seeds' spread."""

import copy

import pytest

from lmodp.errors import InvalidValue
from lmodp.reporting.results.difference import compare_results, expected


def changed(results, *, score=None, **values):
    other = copy.deepcopy(results)
    other["cells"][1] |= values
    other["cells"][1]["scores"]["accuracy"] |= score or {}
    return [item for item in compare_results(results, other) if item["differs"]]


def test_equal_folders_agree(results):
    found = compare_results(results, copy.deepcopy(results))
    assert len(found) == len(results["cells"]) and not any(item["differs"] for item in found)


def test_a_computed_answer_must_agree_to_rounding(results):
    value = results["cells"][1]["verified_upper"]
    assert not changed(results, verified_upper=value * (1 + 1e-8))
    assert "verified_upper" in changed(results, verified_upper=value * 1.001)[0]["text"]
    assert changed(results, verified_upper=None)


def test_a_score_must_agree_within_the_spread(results):
    score = results["cells"][1]["scores"]["accuracy"]
    error = (2 * score["spread"] ** 2 / len(score["values"])) ** 0.5
    assert not changed(results, score={"mean": score["mean"] + 2 * error})
    assert changed(results, score={"mean": score["mean"] + 4.5 * error})


@pytest.mark.parametrize(("spread", "differs"), [(None, True), (0.5, False)])
def test_a_single_run_has_no_spread_to_hide_in(results, spread, differs):
    mean = results["cells"][1]["scores"]["accuracy"]["mean"]
    assert bool(changed(results, score={"mean": mean + 0.001, "spread": spread})) is differs


def test_published_results_say_which_range_several_processors_gave(results):
    for cell in results["cells"]:
        for score in cell["scores"].values():
            score["spread"] = None  # single runs
    other, third = copy.deepcopy(results), copy.deepcopy(results)
    score = results["cells"][1]["scores"]["accuracy"]
    other["cells"][1]["scores"]["accuracy"]["mean"] = score["mean"] + 0.01
    joined = expected([results, other])
    for shift, differs in ((0.01, 0), (-0.009, 0), (0.019, 0), (0.021, 1), (-0.011, 1)):
        third["cells"][1]["scores"]["accuracy"]["mean"] = score["mean"] + shift
        assert sum(item["differs"] for item in compare_results(joined, third)) == differs, shift
    third = copy.deepcopy(results)
    third["cells"][1]["verified_upper"] *= 1.001
    assert [item["differs"] for item in compare_results(joined, third)].count(True) == 1


def test_a_range_of_fewer_processors_than_it_says_is_refused(results):
    other = copy.deepcopy(results)
    missing = other["cells"][1]["scores"]["accuracy"]
    missing |= {"mean": None, "values": []}  # a cell that is pending there
    for runs in ([results, other], [other, results], [results]):
        with pytest.raises(InvalidValue, match="two or more, each with every score"):
            expected(runs)


def test_every_score_is_compared(results):
    other = copy.deepcopy(results)
    cell = next(cell for cell in other["cells"] if cell["metric"] == "perplexity" and cell["status"] == "done")
    cell["scores"]["perplexity"]["mean"] *= 1.1
    found = [item for item in compare_results(results, other) if item["differs"]]
    assert [item["cell"] for item in found] == [cell["cell"]]
    assert "perplexity 4.09 against 4.50" in found[0]["text"] and "no METEOR" in found[0]["text"]


def test_status_and_missing_cells_differ(results):
    assert "done against failed (why)" in changed(results, status="failed", reason="why")[0]["text"]
    other = copy.deepcopy(results)
    gone = other["cells"].pop()
    assert [item["cell"] for item in compare_results(results, other) if item["differs"]] == [gone["cell"]]
