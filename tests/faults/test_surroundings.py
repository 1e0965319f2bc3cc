"""What lies around a run: disks, other workflows, clocks, paths, languages, and records from elsewhere."""

import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lmodp.errors import LmodpError, message_for_user
from lmodp.pipeline.layout import Layout
from lmodp.records.record import sealed, write_json
from lmodp.reporting.page.report import report
from tests.contracts.small_world import ROOT
from tests.contracts.whole_grid import run_job
from tests.faults.world import configuration, count, needs_a_start, one_job, quietly, start, state

FULL_DISKS, CLOCKS, TOGETHER = 20, 20, 5


def on_a_full_disk(values, size):
    """Start with files of at most so many bytes; the status says whether the user got a message."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        start(values)
    except BaseException as error:
        os._exit(0 if message_for_user(error) else 1)
    os._exit(0)


def test_a_disk_that_is_full_loses_nothing(disturbed, chance):
    values, kept = disturbed
    for number in range(FULL_DISKS):
        shutil.rmtree(values["results_root"])
        if number % 2:
            shutil.rmtree(values["cache_root"])
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=quietly, args=(on_a_full_disk, values, chance.randrange(200, 40_000)))
        process.start()
        process.join(timeout=300)
        assert process.exitcode == 0
        start(values)
        assert state(values) == kept
    count("full disk, then a start with space", tried=FULL_DISKS, same_bytes=FULL_DISKS)


@pytest.mark.parametrize("folder", ["results_root", "cache_root"])
def test_a_folder_that_cannot_be_written_is_one_message(disturbed, folder, tmp_path):
    values, kept = disturbed
    place = tmp_path / "a file, no folder"
    place.write_text("")
    with pytest.raises((OSError, LmodpError)) as error:
        start({**values, folder: str(place / "deep")})
    told = message_for_user(error.value)
    assert told is None or "\n" not in told
    assert isinstance(error.value, NotADirectoryError) or told
    assert state(values) == kept
    count("folder that cannot be written", tried=1, refused=1)


def test_two_grids_on_one_cache_at_once(undisturbed, tmp_path):
    """Both find the same bytes, also where both prepare the same things at the same time."""
    kept = undisturbed[2]
    for number in range(TOGETHER):
        folder = tmp_path / str(number)
        both = [
            {**configuration(folder), "results_root": str(folder / name), "cache_root": str(folder / "cache")}
            for name in ("one", "other")
        ]
        context = multiprocessing.get_context("forkserver")
        processes = [context.Process(target=quietly, args=(start, values)) for values in both]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=300)
        for values in both:
            start(values)
            assert state(values) == kept
        shutil.rmtree(both[0]["results_root"])
        start(both[1])
        assert state(both[1]) == kept
    count("two grids on one cache at once", tried=TOGETHER, same_bytes=TOGETHER)


def test_two_workers_on_one_cell_at_once(disturbed):
    """A job that a cluster started again while the first one still lives: both end, with the same bytes."""
    values, kept = disturbed
    cell = next(cell.id for cell in Layout.from_values(values).grid.active)
    context = multiprocessing.get_context("forkserver")
    for _ in range(TOGETHER):
        for place in ("results/smoke/cells", "cache/cells"):
            shutil.rmtree(Path(values["results_root"]).parent / place / cell)
        arguments = (one_job, values, "finetune_model", cell)
        processes = [context.Process(target=quietly, args=arguments) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=300)
            assert process.exitcode == 0
        start(values)
        assert state(values) == kept
    count("two workers on one cell at once", tried=TOGETHER, same_bytes=TOGETHER)


def test_two_workflows_on_one_folder(undisturbed, tmp_path):
    """The second is refused by the workflow's own lock, and the first ends as if it had been alone."""
    values, kept = undisturbed[1:]
    values = {**values, "results_root": str(tmp_path / "results"), "cache_root": str(tmp_path / "cache")}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({**values, "unfinished": "compute"}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "snakemake", "--configfile", str(file), "--cores", "1", "only_head"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    run = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True}
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        while not list((tmp_path / ".snakemake/locks").glob("*.lock") if (tmp_path / ".snakemake").is_dir() else ()):
            assert first.poll() is None
        second = subprocess.run(command, check=False, **run)
        assert second.returncode != 0 and "lock" in (second.stdout + second.stderr).lower()
        assert first.wait(timeout=600) == 0
    found, kept = state(values), {name: data for name, data in kept.items() if not name.startswith("tables")}
    assert {name: data for name, data in found.items() if name in kept} == kept
    count("two workflows on one folder", tried=1, same_bytes=1, refused=1)


def test_clocks_and_file_times_mean_nothing(disturbed, tmp_path, chance):
    values, kept = disturbed
    for _ in range(CLOCKS):
        for path in tmp_path.rglob("*"):
            moment = chance.choice([0, 1, 10**9, 4 * 10**9])
            os.utime(path, (moment, moment))
        assert start(values) == []
    assert state(values) == kept
    count("file times of another century", tried=CLOCKS, same_bytes=CLOCKS)


@pytest.mark.parametrize(
    "name", ["with space", "ünï-çödé", "per%cent", "quote'\"", "dollar$HOME", "brace{id}", "d" * 120]
)
def test_odd_paths(undisturbed, tmp_path, name):
    values, kept = configuration(tmp_path / name), undisturbed[2]
    start(values)
    assert state(values) == kept and start(values) == []
    count("odd path", tried=1, same_bytes=1)


def test_a_results_folder_behind_a_link(undisturbed, tmp_path):
    values, kept = configuration(tmp_path), undisturbed[2]
    (tmp_path / "disk").mkdir()
    for name in ("results", "cache"):
        (tmp_path / "disk" / name).mkdir()
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    start(values)
    assert state(values) == kept and start(values) == []
    count("folders behind symbolic links", tried=1, same_bytes=1)


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "tr_TR.UTF-8"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_languages(undisturbed, tmp_path, locale):
    file = tmp_path / "config.yaml"
    values = configuration(tmp_path)
    file.write_text(yaml.safe_dump(values))
    code = f"import yaml; from tests.faults.world import start; start(yaml.safe_load(open({str(file)!r})))"
    environment = {**os.environ, **locale, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    assert state(values) == undisturbed[2]
    count("language of the system", tried=1, same_bytes=1)


MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "' onmouseover='x",
    "](javascript:x)",
]


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_in_a_record_reaches_no_page(disturbed, tmp_path, markup):
    """A results record from elsewhere, resealed by somebody: its texts are shown as text."""
    layout = Layout.from_values(disturbed[0])
    for stage, thing in (("compare_published", ""), ("measure_cost", ""), ("make_figure", "comparison")):
        run_job(layout, stage, thing)
    path = layout.outputs("collect_results", "")["record"]
    found = json.loads(path.read_text())
    found["title"] = markup
    for row in found["cells"]:
        row |= {"method_title": markup, "reason": markup, "status": "failed"}
    for item in [*found["methods"].values(), *found["experiments"].values()]:
        item["title"] = markup
    write_json(path, sealed(found))
    page = tmp_path / "report.html"
    report(found, root=layout.results, figures=["comparison"], html=page)
    assert markup not in page.read_text(encoding="utf-8") or not set(markup) & set("<'")
    count("markup in a record", tried=1, same_bytes=1)


@pytest.mark.parametrize("name", ["../../outside.txt", "/etc/hostname", "a/../../../x", "\x00", "mechanisms"])
def test_a_record_that_names_other_files_reads_none(disturbed, name):
    values, kept = disturbed
    layout = Layout.from_values(values)
    path = next((layout.results / "mechanisms").glob("*/certificate.json"))
    found = json.loads(path.read_text())
    for field in ("files", "inputs"):
        write_json(path, sealed({**found, field: {name: "0" * 64}}))
        assert needs_a_start(Layout.from_values(values), "certify_mechanism", path.parent.name)
        start(values)
        assert state(values) == kept
    count("path tricks in a record", tried=2, same_bytes=2)


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [[[[]]]], {"a": {"b": {}}}, 1e308, True])
def test_odd_types_in_a_record_are_damage(disturbed, value):
    values, kept = disturbed
    layout = Layout.from_values(values)
    tried = 0
    for path in sorted(layout.results.rglob("*.json")):
        found = json.loads(path.read_text())
        for field in ("inputs", "created_by", "status", "stage", "spec", "files", "reason"):
            if type(found.get(field)) is type(value):
                continue
            write_json(path, sealed({**found, field: value}))
            Layout.from_values(values).judge.why_outdated(path)  # any answer, and no exception
            tried += 1
        write_json(path, found)
    start(values)
    assert state(values) == kept
    count("odd type in a record", tried=tried, same_bytes=tried)
