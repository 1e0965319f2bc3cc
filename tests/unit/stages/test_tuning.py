"""Every method tries the same pairs, the least validation loss wins, and the record says what it cost."""

import math

import pytest
import yaml

from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.stages.tuning import candidates, tune
from tests.contracts.small_world import ROOT
from tests.contracts.whole_grid import run_grid


def configuration(tuning=None):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    experiment = {**values["experiments"]["head"], "repetitions": 1}
    experiment["training"] = {**experiment["training"], "learning_rate": 1e-3, "clip_norm": 1.0, "tuning": tuning}
    return {
        **values,
        "methods": ["nonprivate", "gaussian"],
        "experiments": {"head": experiment},
        "privacy": {"epsilon": [3], "delta": [1e-6], "calibrations": ["verified"]},
    }


def spec_of(tuning):
    return Grid(check_config(configuration(tuning))).active[-1].spec


def test_without_a_search_all_methods_take_the_configurations_pair():
    found = tune(spec_of(None), attempt=lambda candidate: pytest.fail("nothing is to be trained"))
    assert (
        found["budget"] == 1 and found["trials"] == [] and found["chosen"] == {"learning_rate": 1e-3, "clip_norm": 1.0}
    )
    assert found["privacy_cost"] == "not counted, for no method"


def test_all_pairs_are_tried_and_the_least_loss_is_taken():
    spec = spec_of({"learning_rate": [0.1, 0.2], "clip_norm": [0.5, 1.0, 2.0]})
    losses = iter([3.0, math.nan, 0.7, 0.7, math.inf, 2.0])
    found = tune(spec, attempt=lambda candidate: next(losses))
    assert found["budget"] == len(found["trials"]) == 6
    assert found["chosen"] == {"learning_rate": 0.1, "clip_norm": 2.0}
    assert [trial["validation_loss"] for trial in found["trials"]] == [3.0, None, 0.7, 0.7, None, 2.0]


def test_if_every_pair_diverges_the_first_is_taken():
    spec = spec_of({"learning_rate": [0.1, 0.2]})
    assert tune(spec, attempt=lambda candidate: math.nan)["chosen"] == {"learning_rate": 0.1, "clip_norm": 1.0}


def test_one_list_alone_keeps_the_other_value():
    assert candidates(spec_of({"clip_norm": [0.5]}).training) == [{"learning_rate": 1e-3, "clip_norm": 0.5}]
    assert spec_of(None).tuned({"clip_norm": 0.5}).training.clip_norm == 0.5


def test_a_tuned_cell_runs_with_what_was_chosen_and_is_verified_by_it(tmp_path):
    values = configuration({"learning_rate": [1e-9, 1e-2], "clip_norm": [0.5, 2.0]})
    layout, results = run_grid(
        {**values, "results_root": str(tmp_path / "results"), "cache_root": str(tmp_path / "cache")}
    )
    assert {row["status"] for row in results["cells"]} == {"done"}
    for cell in layout.grid.active:
        record, (line,) = read_runs(cell_path(layout.results, cell.id, "finetune_model"))
        assert record["tuning"]["budget"] == len(record["tuning"]["trials"]) == 4
        chosen = record["tuning"]["chosen"]
        best = min(record["tuning"]["trials"], key=lambda trial: trial["validation_loss"])
        assert chosen == {name: best[name] for name in chosen}
        assert line["settings"]["learning_rate"] == chosen["learning_rate"]
        assert cell.spec.calibration or chosen["learning_rate"] == 1e-2  # 1e-9 learns nothing
        assert record["plan"]["clip_norm"] == (chosen["clip_norm"] if cell.spec.calibration else None)
