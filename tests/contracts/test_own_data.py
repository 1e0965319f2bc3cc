"""A CSV of the user's own goes from the configuration to a row of the table."""

import csv
import random

import pytest

from lmodp.data.made_up import ENDINGS, NEGATIVE, POSITIVE, SUBJECTS
from lmodp.errors import DamagedFile
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.records.record import read_record
from tests.contracts.whole_grid import run_grid, run_job


def write_csv(path, rows=240, classes=(NEGATIVE, POSITIVE, ENDINGS[1:])):
    """Sentences of three classes, told apart by their words, as a spreadsheet exports them."""
    draw = random.Random("own data")
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["stars", "review"])
        for number in range(rows):
            says = draw.choice(classes[number % 3])
            writer.writerow([("bad", "good", "so so")[number % 3], f"{draw.choice(SUBJECTS)} {says} {number}"])


def values_of(folder, **changes):
    return {
        "grid": "own",
        "results_root": str(folder / "results"),
        "cache_root": str(folder / "cache"),
        "data_root": str(folder),
        "methods": ["nonprivate", "gaussian"],
        "privacy": {"epsilon": [3], "delta": ["1e-6"], "calibrations": ["verified"]},
        "datasets": {
            "mine": {
                "task": "classification",
                "files": {"train": "a.csv"},
                "text": "review",
                "label": "stars",
                "split_off": {"test": 0.25},
            }
        },
        "experiments": {
            "head": {
                "title": "head on my reviews",
                "dataset": "mine",
                "model": "tiny_roberta",
                "trainable": "head",
                "pooling": "mean",
                "max_length": 12,
                "training": {"expected_batch_size": 60, "steps": 30, "learning_rate": "3e-2"},
            }
        },
        **changes,
    }


def test_three_classes_from_csv_to_scores(tmp_path):
    write_csv(tmp_path / "a.csv")
    layout, results = run_grid(values_of(tmp_path))
    grid = layout.grid
    (dataset,) = grid.datasets
    record = read_record(layout.results / "datasets" / dataset / "dataset.json")
    size = record["sizes"]["train"]
    assert record["labels"] == ["bad", "good", "so so"] and size + record["sizes"]["test"] == 240
    assert {cell.spec.dataset_size for cell in grid.active} == {size} and record["evaluation_in_training"] == 0
    scores = {row["method"]: row["scores"]["accuracy"]["mean"] for row in results["cells"]}
    assert scores["nonprivate"] > 0.6  # three equal classes: 0.33 by chance
    (mechanism,) = [name for name, spec in grid.mechanisms.items() if spec.calibration]
    certificate = read_record(layout.results / "mechanisms" / mechanism / "certificate.json")
    assert certificate["rests_on"].startswith(f"N = {size} training examples: the sampling rate is 60 / {size}")
    assert certificate["spec"]["dataset_size"] == size
    (model,) = grid.models.values()
    assert model.source == "embedded" and grid.datasets[dataset].source == "local"


def test_ids_follow_the_rows_and_not_the_files(tmp_path):
    write_csv(tmp_path / "a.csv")

    def cells(**changes):
        return sorted(Grid(check_config(values_of(tmp_path, **changes))).cells)

    first = cells()
    (tmp_path / "b.csv").write_text((tmp_path / "a.csv").read_text("utf-8-sig").replace(";", ",").replace("\r\n", "\n"))
    other = values_of(tmp_path)["datasets"]
    other["mine"]["files"] = {"train": str(tmp_path / "b.csv")}
    assert cells(datasets=other) == first
    lines = (tmp_path / "a.csv").read_text("utf-8-sig").splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*lines[:-1], lines[-1] + " more"]) + "\n")
    assert not set(cells()) & set(first)


def test_a_release_tells_no_hash_of_the_rows(tmp_path):
    write_csv(tmp_path / "a.csv")
    seeded = check_config(values_of(tmp_path))
    release, again = (check_config(values_of(tmp_path, randomness="entropy")) for _ in range(2))
    assert release.own_data == again.own_data  # one secret per cache
    assert not {*release.own_data["mine"]["sha256"].values()} & {*seeded.own_data["mine"]["sha256"].values()}
    elsewhere = check_config(values_of(tmp_path, randomness="entropy", cache_root=str(tmp_path / "other")))
    assert elsewhere.own_data != release.own_data


def test_data_that_changed_under_way_are_refused(tmp_path):
    write_csv(tmp_path / "a.csv")
    from lmodp.pipeline.layout import Layout

    layout = Layout.from_values(values_of(tmp_path))
    (dataset,) = layout.grid.datasets
    write_csv(tmp_path / "a.csv", rows=243)
    with pytest.raises(DamagedFile, match="has changed since the configuration was read. Start again"):
        run_job(layout, "prepare_dataset", dataset)
