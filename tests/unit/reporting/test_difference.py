"""Two results folders: computed answers agree to rounding, scores within the seeds' spread."""

import copy

import pytest

from lmodp.reporting.difference import compare_results


def changed(results, **values):
    other = copy.deepcopy(results)
    other["cells"][1] |= values
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
    cell = results["cells"][1]
    error = (2 * cell["accuracy_spread"] ** 2 / cell["runs_done"]) ** 0.5
    assert not changed(results, accuracy=cell["accuracy"] + 2 * error)
    assert changed(results, accuracy=cell["accuracy"] + 4.5 * error)


@pytest.mark.parametrize(("spread", "differs"), [(None, True), (0.5, False)])
def test_a_single_run_has_no_spread_to_hide_in(results, spread, differs):
    assert bool(changed(results, accuracy=results["cells"][1]["accuracy"] + 0.001, accuracy_spread=spread)) is differs


def test_status_and_missing_cells_differ(results):
    assert "done against failed (why)" in changed(results, status="failed", reason="why")[0]["text"]
    other = copy.deepcopy(results)
    gone = other["cells"].pop()
    assert [item["cell"] for item in compare_results(results, other) if item["differs"]] == [gone["cell"]]
