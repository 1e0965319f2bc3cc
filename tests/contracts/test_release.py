"""A run whose random numbers come from the system: its records tell what the certificate covers, and no more."""

import json

import pytest
import yaml

from lmodp.errors import MissingFile
from lmodp.pipeline.layout import Layout
from lmodp.records.artefacts import damage
from lmodp.records.places import cell_path
from lmodp.records.record import read_record, read_runs
from tests.contracts.small_world import ROOT
from tests.contracts.whole_grid import run_grid, run_job

HIDDEN = ("seeds", "noise_measured", "batches", "clipped_examples", "mean_training_loss", "per_step", "non_finite")


def configuration(folder, **changes):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    head = {**values["experiments"]["head"], "repetitions": 2, **changes.pop("head", {})}
    return {
        **values,
        "methods": ["gaussian"],
        "experiments": {"head": {**head, "training": {**head["training"], "checkpoint_every": 2}}},
        "privacy": {"epsilon": [3], "delta": [1e-6], "calibrations": ["verified"]},
        "results_root": str(folder / "results"),
        "cache_root": str(folder / "cache"),
        **changes,
    }


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return run_grid(configuration(tmp_path_factory.mktemp("release"), randomness="entropy"))


def test_the_records_of_a_release_hold_neither_key_nor_data(release):
    layout, _ = release
    (cell,) = layout.grid.active
    record, lines = read_runs(cell_path(layout.results, cell.id, "finetune_model"))
    assert record["randomness"] == "entropy" and record["plan"]["noise"] and len(lines) == 2
    assert not [name for line in lines for name in HIDDEN if name in line]
    assert lines[0]["settings"]["randomness"] == "entropy" and lines[0]["weights_sha256"] != lines[1]["weights_sha256"]
    data = read_record(next(layout.results.glob("datasets/*/dataset.json")))
    assert "label_counts" not in data and data["sizes"]["train"] == cell.spec.dataset_size, "N is public"


def test_a_release_is_compared_with_its_certificate_all_the_same(release):
    layout, _ = release
    (cell,) = layout.grid.active
    record, lines = read_runs(cell_path(layout.results, cell.id, "verify_run"))
    assert record["status"] == "done" and all(line["conforms"] for line in lines)
    names = {check["name"] for check in lines[0]["checks"]}
    assert {"examples drawn", "noise"} <= names and not any("ran" in check for check in lines[0]["checks"])


def test_scores_of_a_private_split_stay_in_a_folder_named_private(release):
    layout, results = release
    (cell,), (row,) = layout.grid.active, results["cells"]
    assert row["status"] == "skipped" and "public_scores" in row["reason"]
    found = json.loads((layout.cache / "cells" / cell.id / "private" / "scores.json").read_text())
    assert all(0 <= line["accuracy"] <= 1 for line in found["runs"])
    assert not list((layout.cache / "cells" / cell.id).glob("*.json"))


def test_what_is_finished_is_not_released_again(release):
    layout, _ = release
    (cell,) = layout.grid.active
    path = cell_path(layout.results, cell.id, "finetune_model")
    before = path.read_bytes()
    path.unlink()
    run_job(layout, "finetune_model", cell.id)
    assert path.read_bytes() == before


def test_a_release_whose_files_are_gone_is_not_made_a_second_time(release):
    layout, _ = release
    (cell,) = layout.grid.active
    told, folder = cell_path(layout.results, cell.id, "finetune_model"), layout.cache / "cells" / cell.id
    before = told.read_bytes()
    cell_path(layout.results, cell.id, "evaluate_model").unlink()  # so the job starts again
    folder.rename(folder.with_suffix(".away"))
    with pytest.raises(MissingFile, match="second release of the same data.*Put both back"):
        run_job(layout, "finetune_model", cell.id)
    assert not folder.exists() and told.read_bytes() == before
    folder.with_suffix(".away").rename(folder)
    run_job(layout, "finetune_model", cell.id)
    assert told.read_bytes() == before


def test_scores_of_a_public_split_are_told(tmp_path):
    layout, results = run_grid(configuration(tmp_path, randomness="entropy", head={"public_scores": True}))
    assert results["cells"][0]["status"] == "done" and results["cells"][0]["scores"]["accuracy"]["mean"] is not None
    (cell,) = layout.grid.active
    lines = read_runs(cell_path(layout.results, cell.id, "finetune_model"))[1]
    assert not [name for line in lines for name in HIDDEN if name in line]


def test_no_checkpoint_outlives_its_run(release):
    """It holds the key of the noise."""
    layout, _ = release
    assert not list(layout.cache.rglob("*.checkpoint"))


def test_an_audited_run_is_not_made_of_a_release(release):
    layout, _ = release
    (cell,) = layout.grid.active
    run_job(layout, "finetune_and_audit_model", cell.id)
    record = read_record(cell_path(layout.results, cell.id, "audit_training"))
    assert record["status"] == "skipped" and "does not count" in record["reason"]


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["datasets", "models", "tokens", "activations"])
def test_a_flipped_bit_in_any_bulky_file_is_mended_before_it_is_read(tmp_path, kind):
    values = configuration(tmp_path)
    layout, _ = run_grid(values)
    (cell,) = layout.grid.active
    kept = {path: path.read_bytes() for path in layout.results.rglob("*.json*") if path.name != "timing.jsonl"}
    for path in sorted((layout.cache / kind).rglob("*")):
        if path.suffix in (".safetensors", ".arrow"):
            flip(path)
    for path in (layout.results / "cells").rglob("*.jsonl"):
        path.unlink()
    for path in (layout.cache / "cells").rglob("*"):
        if path.is_file():
            path.unlink()
    damage.cache_clear()  # as in another process
    again = Layout.from_values({**values, "unfinished": "pending"})
    run_job(again, "finetune_model", cell.id)
    assert {path: path.read_bytes() for path in kept} == kept
