"""Every method tries the same pairs, the best on unseen examples wins, and the record says what it cost."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from lmodp.errors import ConfigError
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.stages.tuning import choosing_examples, training_examples, tune
from lmodp.training.examples import SomeExamples, TensorExamples, TokenColumns
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


def test_all_pairs_are_tried_and_the_best_is_taken():
    spec = spec_of({"learning_rate": [0.1, 0.2], "clip_norm": [0.5, 1.0, 2.0]})
    losses = iter([3.0, math.nan, 0.7, 0.7, math.inf, 2.0])
    found = tune(spec, attempt=lambda candidate: {"loss": next(losses)})
    assert found["budget"] == len(found["trials"]) == 6
    assert found["chosen"] == {"learning_rate": 0.1, "clip_norm": 2.0}
    assert [trial["validation_loss"] for trial in found["trials"]] == [3.0, None, 0.7, 0.7, None, 2.0]
    assert found["criterion"].startswith("least mean loss on ")


def test_the_error_rate_goes_before_the_loss_but_not_where_training_diverged():
    spec = spec_of({"learning_rate": [0.1, 0.2], "clip_norm": [0.5, 1.0, 2.0]})
    faults = iter([(0.3, 0.4), (0.2, 0.9), (0.2, 0.8), (0.1, math.nan), (0.2, 0.8), (0.5, 0.1)])
    found = tune(spec, attempt=lambda candidate: dict(zip(("error", "loss"), next(faults), strict=True)))
    assert found["chosen"] == {"learning_rate": 0.1, "clip_norm": 2.0}
    assert found["trials"][3] | {"validation_error": 0.1, "validation_loss": None} == found["trials"][3]
    assert found["criterion"].startswith("least error rate on ")


def test_if_every_pair_diverges_the_first_is_taken():
    spec = spec_of({"learning_rate": [0.1, 0.2]})
    found = tune(spec, attempt=lambda candidate: {"loss": math.nan})
    assert found["chosen"] == {"learning_rate": 0.1, "clip_norm": 1.0}


def test_one_list_alone_keeps_the_other_value():
    assert spec_of({"clip_norm": [0.5]}).training.candidates == [{"learning_rate": 1e-3, "clip_norm": 0.5}]
    assert spec_of(None).tuned({"clip_norm": 0.5}).training.clip_norm == 0.5


def test_the_split_that_is_scored_chooses_nothing():
    values = configuration({"learning_rate": [1e-3, 1e-2]})
    values["experiments"]["head"] |= {"dataset": "sst2", "source": "local"}
    with pytest.raises(ConfigError, match="chooses on the validation split, and sst2 is scored on it. Give held_out"):
        check_config(values)


def test_examples_that_choose_are_no_training_examples():
    spec = spec_of({"learning_rate": [1e-3, 1e-2], "held_out": 50})
    whole = spec_of(None)
    assert spec.dataset_size == whole.dataset_size - 50 == spec.plan(None).dataset_size
    task = SimpleNamespace(examples=lambda split: TensorExamples({"row": torch.arange(whole.dataset_size)}))
    trained, held_out = training_examples(spec, task), choosing_examples(spec, task)
    rows = [set(part.batch(np.arange(len(part)))["row"].tolist()) for part in (trained, held_out)]
    assert (len(rows[0]), len(rows[1])) == (spec.dataset_size, 50) and not rows[0] & rows[1]
    assert len(training_examples(whole, task)) == whole.dataset_size
    lengths = TokenColumns({"ids": [[7] * (1 + n % 5) for n in range(40)]}, padding={"ids": 0})
    some = SomeExamples(lengths, np.arange(0, 40, 3))
    ordered = some.arrange(np.array([9, 2, 5, 2]))
    assert sorted(ordered) == [2, 2, 5, 9] and np.all(np.diff(lengths.lengths[some.rows[ordered]]) >= 0)


@pytest.mark.parametrize(("held_out", "steps"), [(None, None), (100, 5)])
def test_a_tuned_cell_runs_with_what_was_chosen_and_is_verified_by_it(tmp_path, held_out, steps):
    pairs = {"learning_rate": [1e-9, 1e-2], "clip_norm": [0.5, 2.0]}
    values = configuration({**pairs, "held_out": held_out, "steps": steps})
    layout, results = run_grid(
        {**values, "results_root": str(tmp_path / "results"), "cache_root": str(tmp_path / "cache")}
    )
    assert {row["status"] for row in results["cells"]} == {"done"}
    for cell in layout.grid.active:
        record, (line,) = read_runs(cell_path(layout.results, cell.id, "finetune_model"))
        assert record["tuning"]["budget"] == len(record["tuning"]["trials"]) == 4
        assert ("after 5 steps" in record["tuning"]["criterion"]) == (steps == 5) and record["plan"]["steps"] == 6
        chosen = record["tuning"]["chosen"]
        trials = record["tuning"]["trials"]
        best = min(trials, key=lambda trial: (trial["validation_error"], trial["validation_loss"]))
        assert chosen == {name: best[name] for name in chosen}
        assert line["settings"]["learning_rate"] == chosen["learning_rate"]
        assert steps or cell.spec.calibration or chosen["learning_rate"] == 1e-2  # 1e-9 learns nothing, nor do 5 steps
        assert record["plan"]["clip_norm"] == (chosen["clip_norm"] if cell.spec.calibration else None)
