"""Two results folders: computed answers agree to rounding, scores seed by seed."""

import copy

import numpy as np
import pytest

from lmodp.errors import InvalidValue
from lmodp.reporting.results.difference import compare_results, expected


def changed(results, *, score=None, **values):
    other = copy.deepcopy(results)
    other["cells"][1] |= values
    if score is not None:
        other["cells"][1]["scores"]["accuracy"] |= {"values": list(score), "mean": float(np.mean(score))}
    return [item for item in compare_results(results, other) if item["differs"]]


def test_equal_folders_agree(results):
    found = compare_results(results, copy.deepcopy(results))
    assert len(found) == len(results["cells"]) + len(results["mechanisms"])
    assert not any(item["differs"] for item in found)


def test_folders_without_a_common_cell_are_not_compared(results):
    other = copy.deepcopy(results)
    for cell in other["cells"]:
        cell["cell"] += "-other"
    with pytest.raises(InvalidValue, match="share no cell. Compare two runs of one grid"):
        compare_results(results, other)


def test_a_mechanism_that_no_cell_uses_is_compared(results):
    other = copy.deepcopy(results)
    name = next(name for name, item in other["mechanisms"].items() if item["claimed_run"])
    other["mechanisms"][name]["claimed_run"] *= 2
    assert [item["name"] for item in compare_results(results, other) if item["differs"]] == [name]


def test_a_computed_answer_must_agree_to_rounding(results):
    value = results["cells"][1]["verified_upper"]
    assert not changed(results, verified_upper=value * (1 + 1e-8))
    assert "verified_upper" in changed(results, verified_upper=value * 1.001)[0]["text"]
    assert changed(results, verified_upper=None)


def test_a_shift_of_all_seeds_differs_and_single_examples_do_not(results):
    values = np.array(results["cells"][1]["scores"]["accuracy"]["values"])
    assert len(values) > 2 and not changed(results, score=values)
    turned = np.resize([1, 0, 0, -1, 0], len(values)) / 2000  # an example in two of five seeds
    assert not changed(results, score=values + turned)
    results["cells"][1]["examples"] = 2000
    assert not changed(results, score=values + 1 / 2000), "the same example turns in every seed"
    assert changed(results, score=values + 0.005)
    assert changed(results, score=values + 0.005 + turned)
    assert "seeds" in changed(results, score=values[1:])[0]["text"]


@pytest.mark.parametrize(("shift", "differs"), [(0.0005, False), (0.05, True)])
def test_a_single_run_agrees_within_the_sampling_error_of_its_examples(results, shift, differs):
    (first, *_) = results["cells"][1]["scores"]["accuracy"]["values"]
    results["cells"][1]["scores"]["accuracy"] |= {"values": [first], "mean": first}
    assert bool(changed(results, score=[first + shift])) is differs


def test_another_chosen_learning_rate_differs(results):
    results["cells"][1]["learning_rate"] = 0.01
    assert "learning rate 0.01 against 0.03" in changed(results, learning_rate=0.03)[0]["text"]


def test_published_results_say_which_range_several_processors_gave(results):
    for cell in results["cells"]:
        for score in cell["scores"].values():
            score["values"] = score["values"][:1]  # single runs
        cell["examples"] = 10**6
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
    assert [item["name"] for item in found] == [cell["cell"]]
    assert "perplexity 4.09 against 4.50" in found[0]["text"] and "no METEOR" in found[0]["text"]


def test_status_and_missing_cells_differ(results):
    assert "done against failed (why)" in changed(results, status="failed", reason="why")[0]["text"]
    other = copy.deepcopy(results)
    gone = other["cells"].pop()
    assert [item["name"] for item in compare_results(results, other) if item["differs"]] == [gone["cell"]]
