"""The smallest grid runs every rule, rests when nothing changed, and reruns what a change touches."""

import re
import shutil
import subprocess
from types import SimpleNamespace

import pandas as pd
import pytest

from lmodp.pipeline.bundles import MAPS, RULES, Bundles, Task
from lmodp.pipeline.layout import Layout
from lmodp.pipeline.run_bundle import do_tasks
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


def test_the_console_of_a_run_counts_and_says_where_to_look(smoke):
    told = smoke.first.text
    assert "\r" not in told and re.search(r"^1 of \d+ steps", told, re.MULTILINE)
    closing = smoke.first.stdout.splitlines()[-3:]
    assert [line.split(":")[0] for line in closing] == ["Report", "Table", "Next"]
    assert str(smoke.results / "report.html") in closing[0] and "lmodp summary" in closing[2]


def test_what_a_user_of_snakemake_knows_works(smoke):
    assert smoke.run("--dag").stdout.startswith("digraph snakemake_dag")


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


def test_every_bundle_has_a_log_without_progress_bars(smoke):
    logs = list((smoke.folder / "cache/logs").rglob("*.log"))
    assert {path.stem.partition("-")[0] for path in logs} == set(RULES) - {"fetch_package"}  # the smoke grid needs none
    assert not [path for path in logs if b"\r" in path.read_bytes()]


def test_a_second_run_does_nothing(smoke):
    before = {path: path.stat().st_mtime_ns for path in smoke.results.rglob("*")}
    assert "Nothing to be done" in smoke.run().text
    assert {path: path.stat().st_mtime_ns for path in smoke.results.rglob("*")} == before


def test_no_record_holds_a_path_or_a_host_of_this_machine(smoke):
    for name, data in smoke.records().items():
        if name.endswith((".json", ".csv", ".md", ".html")):
            assert str(smoke.folder).encode() not in data and str(ROOT).encode() not in data, name


@pytest.fixture(scope="module")
def mended(smoke):
    """The grid after five cells were damaged, each in its way, and asked for again; what was there before."""
    names = {
        "deleted": "-lmo_dp-",
        "interrupted": "-gaussian-",
        "cleaned": "-laplace-",
        "cleaned too": "-nonprivate-",
        "emptied": "-lora-",
    }
    cells = {damage: cells_of(smoke.results, method)[0] for damage, method in names.items()}
    cache = {damage: smoke.folder / "cache/cells" / cell.name for damage, cell in cells.items()}
    kept, lost = (entry["run"] for entry in read_record(cells["interrupted"] / "training.jsonl")["runs"])
    left = [*(path for name in ("cleaned", "cleaned too") for path in cache[name].rglob("*.safetensors"))]
    left.append(cache["interrupted"] / f"{kept}.json")
    before = SimpleNamespace(
        records=smoke.records(),
        stamps={path: path.stat().st_mtime_ns for path in left},
        timings={name: timings_of(smoke.results, cells[name].name) for name in ("cleaned", "cleaned too")},
    )
    for folder in (cells["deleted"], cache["deleted"], cells["cleaned"], cells["cleaned too"]):
        shutil.rmtree(folder)
    shutil.rmtree(cache["emptied"])
    (cells["emptied"] / "evaluation.jsonl").unlink()
    (cells["interrupted"] / "training.jsonl").unlink()
    for ending in ("json", "safetensors"):
        (cache["interrupted"] / f"{lost}.{ending}").unlink()
    smoke.run(*(str(cell / "training.jsonl") for cell in cells.values()))
    return SimpleNamespace(before=before, cells=cells)


def test_damaged_cells_come_back_with_the_same_bytes(smoke, mended):
    """One deleted, one interrupted between its runs, two of which `make clean` deleted the results, one
    whose weights are to be scored again and are gone."""
    assert smoke.records() == mended.before.records
    assert "Nothing to be done" in smoke.run("--dry-run").text


def test_what_was_trained_is_not_trained_again(smoke, mended):
    """Weights in the cache, and the run that an interruption left: a cell counts as finished by cache and results."""
    assert len(mended.before.stamps) > 4
    assert {path: path.stat().st_mtime_ns for path in mended.before.stamps} == mended.before.stamps
    for name, timings in mended.before.timings.items():
        assert timings_of(smoke.results, mended.cells[name].name) == timings


def test_results_that_came_with_a_clone_are_reused(smoke, tmp_path):
    """No metadata of Snakemake, no cache, arbitrary file times: nothing to do."""
    clone = Workflow(tmp_path, "smoke")
    shutil.copytree(smoke.results, clone.results, copy_function=shutil.copyfile)
    assert "Nothing to be done" in clone.run("--dry-run").text


def test_cells_that_hold_are_left_alone_where_one_is_made_again(smoke, tmp_path):
    """A clone's cache is filled for the one; the others are not trained again, and the one has the bytes it had."""
    clone = Workflow(tmp_path, "smoke")
    shutil.copytree(smoke.results, clone.results, copy_function=shutil.copyfile)
    lost, other = (cells_of(clone.results, method)[0] for method in ("-laplace-", "-gaussian-"))
    shutil.rmtree(lost)
    told = clone.run("--keep-going", *(str(cell / "training.jsonl") for cell in (lost, other))).text
    assert lost.name in told and other.name not in told
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
    clone.run(*options)
    measured = ("tables/cost.", "report.")  # of a cell that another test had trained again
    for name, content in smoke.records().items():
        assert name.startswith(measured) or (clone.results / name).read_bytes() == content, name
    lost = cells_of(clone.results, "-gaussian-")[0]
    lost.rename(tmp_path / "lost")
    bundles = Bundles(Layout.from_values({**clone.values, "unfinished": "pending"}))
    assert Task("collect_results") in bundles.to_do and {task.job for task in bundles.to_do} <= {
        *RULES["report"],
        *MAPS,
    }
    do_tasks(bundles, [Task("collect_results")])  # of these the one that reads cells
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
            '"fused": True',
            '"fused": False',
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
    planned = set(re.findall(r"^    (\w+)(?: [\w.-]+)?$", told, re.MULTILINE))  # the tasks of each bundle
    assert planned >= reruns
    assert not planned & rests
