"""The smallest grid runs every rule, rests when nothing changed, and reruns what a change touches."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from lmodp.records.places import cell_path, timings_of
from lmodp.records.record import read_record, read_runs
from lmodp.records.stage_table import STAGES
from lmodp.vocabulary import STATUSES
from tests.workflow.conftest import ROOT, Workflow


def records(smoke):
    found = [path for pattern in ("*.json", "*.jsonl") for path in smoke.results.rglob(pattern)]
    return {path: read_record(path) for path in found if path.name != "timing.jsonl"}


def test_every_stage_left_records(smoke):
    assert {record["stage"] for record in records(smoke).values()} == set(STAGES)


def test_no_cell_vanishes_and_every_status_has_its_reason(smoke):
    results = read_record(smoke.results / "tables/results.json")
    assert len(results["cells"]) == len({cell["cell"] for cell in results["cells"]}) >= 8
    for cell in results["cells"]:
        assert cell["status"] in STATUSES
        assert (cell["reason"] is None) is (cell["status"] == "done")
    assert any(cell["status"] == "skipped" for cell in results["cells"])


def lines_of(smoke, stage):
    return {cell.name: read_runs(cell_path(smoke.results, cell.name, stage))[1] for cell in cells_of(smoke.results)}


def cells_of(results, method=""):
    return [path for path in sorted((results / "cells").iterdir()) if method in path.name]


def test_what_ran_is_what_was_certified(smoke):
    verified = [line for lines in lines_of(smoke, "verify_run").values() for line in lines]
    assert verified and all(line["conforms"] for line in verified if line["status"] == "done")


def test_every_computed_run_has_its_lines_and_a_score(smoke):
    runs = pd.read_parquet(smoke.results / "tables/runs.parquet")
    done = runs[runs.status == "done"]
    assert len(done) and done.accuracy.between(0, 1).all()
    trained, scored = lines_of(smoke, "finetune_model"), lines_of(smoke, "evaluate_model")
    for row in done.itertuples():
        assert row.run in {line["run"] for line in trained[row.cell] if line["weights_sha256"]}
        assert row.accuracy in [line["accuracy"] for line in scored[row.cell] if line["run"] == row.run]
        assert row.run in {timing["run"] for timing in timings_of(smoke.results, row.cell)}


def test_lists_of_steps_are_kept_for_the_first_repetition(smoke):
    for lines in lines_of(smoke, "finetune_model").values():
        for line in (line for line in lines if line["status"] == "done"):
            assert (line["per_step"] is not None) is (line["repetition"] == 0)
            assert line["batches"]["steps"] == line["steps"]
        if lines[0]["status"] == "done":
            assert sum(lines[0]["per_step"]["batch_sizes"]) == lines[0]["batches"]["examples"]


def test_every_rule_has_a_log_without_progress_bars(smoke):
    logs = list((smoke.folder / "cache/logs").rglob("*.log"))
    assert {path.parent.name for path in logs} >= {"finetune_model", "prepare_dataset", "make_figure"}
    assert not [path for path in logs if b"\r" in path.read_bytes()]


def test_a_second_run_does_nothing(smoke):
    before = {path: path.stat().st_mtime_ns for path in smoke.results.rglob("*")}
    assert "Nothing to be done" in smoke.run().text
    assert {path: path.stat().st_mtime_ns for path in smoke.results.rglob("*")} == before


def test_no_record_holds_a_path_or_a_host_of_this_machine(smoke):
    for name, data in smoke.records().items():
        if name.endswith((".json", ".csv", ".md", ".html")):
            assert str(smoke.folder).encode() not in data and str(ROOT).encode() not in data, name


def test_a_deleted_cell_comes_back_with_the_same_bytes(smoke):
    before, cell = smoke.records(), cells_of(smoke.results, "-lmo_dp-")[0]
    for folder in (cell, smoke.folder / "cache/cells" / cell.name):
        shutil.rmtree(folder)
    smoke.run()
    assert smoke.records() == before


def test_results_that_were_deleted_come_back_from_the_cache(smoke):
    """`make clean` deletes the results and leaves trained weights; a cell counts as finished by both."""
    before, timing = (
        smoke.records(),
        {cell.name: timings_of(smoke.results, cell.name) for cell in cells_of(smoke.results)},
    )
    weights = {path: path.stat().st_mtime_ns for path in (smoke.folder / "cache/cells").rglob("*.safetensors")}
    shutil.rmtree(smoke.results / "cells")
    smoke.run()
    assert smoke.records() == before
    assert {cell.name: timings_of(smoke.results, cell.name) for cell in cells_of(smoke.results)} == timing
    assert {path: path.stat().st_mtime_ns for path in weights} == weights, "nothing was trained again"


def test_an_interrupted_cell_goes_on_where_it_stopped(smoke):
    before, cell = smoke.records(), cells_of(smoke.results, "-gaussian-")[0]
    kept, lost = (entry["run"] for entry in read_record(cell / "training.jsonl")["runs"])
    cache = smoke.folder / "cache/cells" / cell.name
    stamp = (cache / f"{kept}.json").stat().st_mtime_ns
    for name in (cell / "training.jsonl", cache / f"{lost}.json", cache / f"{lost}.safetensors"):
        name.unlink()
    smoke.run()
    assert smoke.records() == before
    assert (cache / f"{kept}.json").stat().st_mtime_ns == stamp


def test_results_that_came_with_a_clone_are_reused(smoke, tmp_path):
    """No metadata of Snakemake, no cache, arbitrary file times: nothing to do."""
    clone = Workflow(tmp_path, "smoke")
    shutil.copytree(smoke.results, clone.results, copy_function=shutil.copyfile)
    assert "Nothing to be done" in clone.run("--dry-run").text


def test_cells_that_hold_are_left_alone_where_one_is_made_again(smoke, tmp_path):
    """A clone's cache is filled for the one; the others are not trained again, and the one has the bytes it had."""
    clone = Workflow(tmp_path, "smoke")
    shutil.copytree(smoke.results, clone.results, copy_function=shutil.copyfile)
    lost = next(path for path in sorted((clone.results / "cells").iterdir()) if "-laplace-" in path.name)
    shutil.rmtree(lost)
    other = next(path for path in sorted((clone.results / "cells").iterdir()) if "-gaussian-" in path.name)
    told = clone.run("--keep-going", *(str(cell / "training.jsonl") for cell in (lost, other))).text
    assert f"records of {other.name} are kept as they are" in told
    assert [path.name for path in (clone.folder / "cache/cells").iterdir()] == [lost.name]
    for path in (path for path in lost.iterdir() if path.name != "timing.jsonl"):
        assert path.read_bytes() == (smoke.results / "cells" / lost.name / path.name).read_bytes()


def reported(smoke, folder):
    """A copy of the smoke grid's records, reported without computing anything else."""
    clone = Workflow(folder, "smoke")
    shutil.copytree(smoke.results, clone.results, copy_function=shutil.copyfile)
    for name in ("tables", "figures"):
        shutil.rmtree(clone.results / name)
    recipe = re.search(r"^report: setup\n\t.*?(--config unfinished.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[
        1
    ]
    return clone, recipe.split()


def test_tables_and_figures_come_back_from_the_records_alone(smoke, tmp_path):
    clone, options = reported(smoke, tmp_path)
    lost = next(path for path in sorted((clone.results / "cells").iterdir()) if "-gaussian-" in path.name)
    kept = tmp_path / "kept"
    clone.run(*options)
    measured = ("tables/cost.", "report.")  # of a cell that another test had trained again
    for name, content in smoke.records().items():
        assert name.startswith(measured) or (clone.results / name).read_bytes() == content, name
    lost.rename(kept)
    clone.run(*options)
    cells = {cell["cell"]: cell for cell in read_record(clone.results / "tables/results.json")["cells"]}
    assert cells[lost.name]["status"] == "pending" and cells[lost.name]["verified_upper"] is not None
    assert not (clone.folder / "cache/cells").exists()


@pytest.fixture(scope="module")
def copy_of_code(tmp_path_factory):
    """The code as it is in the working tree, in a folder where it may be edited."""
    folder = tmp_path_factory.mktemp("code")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_symlink():
            (folder / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file() and not name.startswith("results/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "reruns", "rests"),
    [
        (
            "lmodp/accounting/certificate.py",
            "COMMON_DELTA = 1e-5",
            "COMMON_DELTA = 1e-6",
            {"certify_mechanism", "finetune_model", "report"},
            {"prepare_dataset", "prepare_model", "cache_activations"},
        ),
        (
            "lmodp/training/settings.py",
            "fused=True",
            "fused=False",
            # A method that is another engine brings the engine's code with its file, so its calibration is asked again.
            {"finetune_model", "finetune_and_audit_model"},
            {"search_noise", "prepare_dataset", "prepare_model", "tokenize_dataset"},
        ),
        ("lmodp/accounting/certificate.py", "COMMON_DELTA = 1e-5", "COMMON_DELTA = 1e-5  # common", set(), set(STAGES)),
    ],
    ids=["a formula of the certificate", "the optimiser", "a comment"],
)
def test_a_change_reruns_what_depends_on_it(smoke, copy_of_code, tmp_path, file, old, new, reruns, rests):
    changed = Workflow(tmp_path, "smoke", repository=copy_of_code)
    shutil.copytree(smoke.results, changed.results, copy_function=shutil.copyfile)
    shutil.copytree(smoke.folder / "cache", tmp_path / "cache", copy_function=shutil.copyfile)
    path = copy_of_code / file
    text = path.read_text()
    assert old in text
    try:
        path.write_text(text.replace(old, new))
        told = changed.run("--dry-run", "--quiet", "host").text
    finally:
        path.write_text(text)
    planned = {line.split()[1].rstrip(":") for line in told.splitlines() if line.startswith(("rule ", "localrule "))}
    assert planned >= reruns
    assert not planned & rests
