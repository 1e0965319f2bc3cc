"""Snakemake's own command line: the default grid and the words of `--config`, from any folder."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT


def snakemake(*arguments, cwd=ROOT):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_default_grid_with_values_of_its_own_from_another_folder(tmp_path):
    """Snakemake reads nested numbers and `false` as text; the grid reads them as a file's."""
    values = ("privacy={epsilon: [0.7], delta: [1e-6], published_points: []}", "keep_records=false", "base_seed=5")
    code, told = snakemake("-n", "only_head", "--snakefile", str(ROOT / "Snakefile"), "--config", *values, cwd=tmp_path)
    assert code == 0, told[-3000:]
    assert "e0.7-" in told and "-e3-" not in told and "finetune_model head-gaussian" in told
    assert "Job stats" in told and "\ntotal " in told, "a dry run counts its jobs"
    assert not (tmp_path / "results").exists()


def test_a_value_of_the_wrong_kind_is_refused_with_its_name(tmp_path):
    code, told = snakemake("-n", "--config", "keep_records=perhaps", "base_sed=5")
    assert code and "keep_records = 'perhaps': input should be a valid boolean" in told
    assert "base_sed = 5: unknown key. Did you mean 'base_seed'?" in told and "Traceback" not in told


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    code, told = snakemake("-n", "--config", f"cache_root={tmp_path / 'file/cache'}")
    assert code and f"folder = '{tmp_path / 'file/cache'}': cannot be written" in told and "--directory" in told
    assert "Traceback" not in told


@pytest.fixture
def checkout(tmp_path):
    """The files of the working tree, without results, and the environment that runs this test."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists() and not name.startswith(("results/", "tests/", "docs/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name, follow_symlinks=False)
    return tmp_path


def make(folder, *arguments, **environment):
    """Run make with this environment, without setting it up again."""
    done = subprocess.run(
        ["make", "--old-file=setup", f"VENV={Path(sys.executable).parent.parent}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_after_a_kill_make_says_what_to_type(checkout):
    grid = ("--configfile", "config/smoke.yaml")
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *grid],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(checkout.glob(".snakemake/locks/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    code, told = make(checkout, "reproduce", "CONFIG=config/smoke.yaml")
    typed = told.decode().partition("type: ")[2].splitlines()[0]
    assert code and typed.endswith("snakemake --unlock --configfile config/smoke.yaml"), told[-3000:]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(shlex.split(typed), cwd=checkout, env=environment, check=True, capture_output=True)
    assert not list(checkout.glob(".snakemake/locks/*"))


@pytest.mark.slow
def test_a_console_that_knows_no_greek_and_a_home_that_cannot_be_written(checkout):
    """Of a grid without a record: its tables, its figures and its report are made, and say that all is pending."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "HOME": "/dev/null/home"}
    code, told = make(checkout, "report", "CONFIG=config/smoke.yaml", **plain)
    assert code == 0 and b"Traceback" not in told, told.decode()[-3000:]
    assert b"Report:  results/smoke/report.html" in told and told.decode("ascii")
    assert (checkout / "results/smoke/report.html").is_file()
