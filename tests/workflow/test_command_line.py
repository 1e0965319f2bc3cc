"""Snakemake's own command line: the default grid and the words of `--config`, from any folder."""

import os
import subprocess
import sys

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
    assert "e0.7-" in told and "-e3-" not in told and "results/quick/cells/head-gaussian" in told
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
