"""Cells, their ids and what they share."""

from pathlib import Path

import pytest
import yaml

from lmodp.errors import InvalidValue
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def values():
    """The smoke grid's first experiment under a few methods and both calibrations."""
    smoke = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    privacy = {"epsilon": [3], "delta": [1e-10], "calibrations": ["claimed", "verified"]}
    methods = ["nonprivate", "gaussian", "laplace", "lmo_dp", "lmo_dp_as_drawn"]
    return {**smoke, "methods": methods, "privacy": privacy, "experiments": {"head": smoke["experiments"]["head"]}}


def grid_of(values):
    return Grid(check_config(values))


def test_every_target_of_every_method_is_a_cell(values):
    values["privacy"]["epsilon"] = [0.3, 3]
    cells = grid_of(values).cells.values()
    by_method = {}
    for cell in cells:
        by_method.setdefault(cell.spec.method, []).append(cell)
    assert len(by_method["nonprivate"]) == 1
    assert {len(by_method[name]) for name in ("gaussian", "laplace", "lmo_dp", "lmo_dp_as_drawn")} == {4}


def test_a_cell_that_is_not_computed_stays_with_its_reason(values):
    skipped = [cell for cell in grid_of(values).cells.values() if cell.skip]
    assert [(cell.spec.method, cell.spec.calibration) for cell in skipped] == [("lmo_dp_as_drawn", "verified")]
    assert "verified" in skipped[0].skip


def test_ids_depend_on_what_is_asked_and_not_on_where_it_is_kept(values):
    before = grid_of(values).cells
    mechanisms = list(grid_of(values).mechanisms)
    values |= {"cache_root": "elsewhere", "results_root": "other", "data_root": "/data"}
    values |= {"compare": {"asked": "laplace", "standard": "nonprivate"}}
    assert list(grid_of(values).cells) == list(before) and list(grid_of(values).mechanisms) == mechanisms
    values["experiments"]["head"]["training"]["clip_norm"] = 0.5
    assert not set(grid_of(values).cells) & set(before)


def test_a_rate_of_its_own_changes_that_method_alone(values):
    before = grid_of(values).cells
    values["experiments"]["head"]["learning_rates"] = {"nonprivate": 5e-4}
    after = grid_of(values).cells
    assert {before[name].spec.method for name in set(before) - set(after)} == {"nonprivate"}
    rates = {cell.spec.method: cell.spec.training.learning_rate for cell in after.values()}
    assert rates.pop("nonprivate") == 5e-4
    assert set(rates.values()) == {float(values["experiments"]["head"]["training"]["learning_rate"])}


def test_more_repetitions_keep_the_runs_that_are_there(values):
    before = next(iter(grid_of(values).cells.values()))
    values["experiments"]["head"]["repetitions"] = 5
    after = next(iter(grid_of(values).cells.values()))
    assert after.id == before.id
    assert after.runs[:2] == before.runs and len(set(after.runs)) == 5


def test_experiments_that_train_alike_share_mechanisms(values):
    values["experiments"]["again"] = {**values["experiments"]["head"], "trainable": "full"}
    grid = grid_of(values)
    assert len(grid.cells) == 2 * len(grid_of({**values, "experiments": {"head": values["experiments"]["head"]}}).cells)
    assert len(grid.mechanisms) == len(
        grid_of({**values, "experiments": {"head": values["experiments"]["head"]}}).mechanisms
    )


def test_only_a_frozen_deterministic_prefix_is_cached(values):
    head = values["experiments"]["head"]

    def activations():
        return next(iter(grid_of(values).cells.values())).activations

    assert activations()
    for part, cached in (({"last_layers": 1}, True), ("full", False), ("bitfit", False)):
        head["trainable"] = part
        assert (activations() is not None) is cached
    head["trainable"] = "head"
    head["training"]["dropout"] = 0.1
    assert activations() is None


def test_of_a_known_cell_no_nearest_id_is_looked_for(values, monkeypatch):
    """It took a tenth of a second a cell, and `lmodp plan` of ten thousand cells took a quarter of an hour."""
    grid = Grid(check_config(values))
    monkeypatch.setattr("lmodp.errors.nearest", lambda *_: pytest.fail("not needed"))
    assert all(grid.cell(name).id == name for name in grid.cells)


def test_an_unknown_cell_is_told(values):
    with pytest.raises(InvalidValue, match="is not in grid 'smoke'"):
        grid_of(values).cell("head-gausian")


def test_a_methods_own_points_run_beside_the_grids(values):
    values["methods"] = ["plrv_o"]
    points = [cell.spec for cell in grid_of(values).cells.values() if cell.spec.setting]
    assert [(spec.setting, spec.epsilon, spec.calibration) for spec in points] == [
        (f"plrv_o-sst2-{epsilon:g}", epsilon, "claimed") for epsilon in (0.2, 0.5, 1, 2.5)
    ]
    assert {spec.delta for spec in points} == {1 / (2 * 192)}
    values["privacy"]["published_points"] = ["plrv_o-sst2-1"]
    assert [cell.spec.setting for cell in grid_of(values).cells.values() if cell.spec.setting] == ["plrv_o-sst2-1"]


def test_a_method_may_train_another_part_by_another_engine(values):
    values["methods"] = ["gaussian", "bitfit", "lora", "auto_clipping", "opacus"]
    values["privacy"]["calibrations"] = ["verified"]
    specs = {cell.spec.method: cell.spec for cell in grid_of(values).cells.values()}
    assert specs["gaussian"].trainable == "head" and specs["bitfit"].trainable == "bitfit"
    assert specs["lora"].trainable == {"lora": {"rank": 8, "alpha": 16.0, "targets": None}}
    assert specs["auto_clipping"].clipping == "automatic"
    assert [specs[name].engine for name in ("gaussian", "opacus")] == ["lmodp", "opacus"]
    values["experiments"]["head"]["trainable"] = {"lora": {"rank": 2}}
    kept = {cell.spec.method: cell.spec for cell in grid_of(values).cells.values()}
    assert kept["lora"].trainable["lora"]["rank"] == 2 and kept["bitfit"].trainable == "bitfit"


def test_variants_of_one_noise_share_its_mechanism(values):
    values["methods"] = ["gaussian", "bitfit", "lora", "auto_clipping", "opacus"]
    values["privacy"]["calibrations"] = ["verified"]
    cells = {cell.spec.method: cell for cell in grid_of(values).cells.values()}
    assert len({cells[name].mechanism for name in ("gaussian", "bitfit", "lora", "auto_clipping")}) == 1
    assert cells["opacus"].mechanism != cells["gaussian"].mechanism


def test_a_plan_that_is_only_certified_has_mechanisms_and_no_cells(values):
    values["methods"].append("plrv_o")
    plan = {**values["experiments"]["head"], "certify_only": True, "training": {"expected_batch_size": 24, "steps": 50}}
    trained, both = grid_of(values), grid_of({**values, "experiments": {**values["experiments"], "plan": plan}})
    assert both.cells.keys() == trained.cells.keys() and both.trained == ["head"]
    added = [spec for name, spec in both.mechanisms.items() if name not in trained.mechanisms]
    assert {spec.steps for spec in added} == {50}
    assert len(added) == len(trained.mechanisms)
    only = grid_of({**values, "experiments": {"plan": plan}})
    assert not only.cells and not only.datasets
    assert [spec.model for spec in only.models.values()] == ["tiny_roberta"]  # PLRV-O counts its parameters
