"""Running the workflow in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


class Workflow:
    """Snakemake on a configuration whose results and cache lie in a temporary folder."""

    def __init__(self, folder, name, repository=ROOT):
        self.folder, self.repository = folder, repository
        values = yaml.safe_load((repository / f"config/{name}.yaml").read_text())
        values |= {"results_root": str(folder / "results"), "cache_root": str(folder / "cache")}
        self.values = values
        self.results = folder / "results" / values["grid"]
        self.write()

    def write(self):
        self.configfile = self.folder / "config.yaml"
        self.configfile.write_text(yaml.safe_dump(self.values, sort_keys=False))

    def started(self, options, cores):
        command = [sys.executable, "-m", "snakemake", "--configfile", str(self.configfile), "--cores", cores, *options]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(self.repository), "OMP_NUM_THREADS": "1"}
        return {"args": command, "cwd": self.repository, "env": environment, "text": True}

    def start(self, *options, cores="2"):
        with (self.folder / "log.txt").open("w") as log:
            return subprocess.Popen(**self.started(options, cores), stdout=log, stderr=log)

    def run(self, *options, check=True, cores="2"):
        done = subprocess.run(**self.started(options, cores), capture_output=True, check=False)
        done.text = done.stdout + done.stderr
        assert not check or done.returncode == 0, done.text[-6000:]
        return done

    def records(self):
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.is_file() and path.name != "timing.jsonl"
        }


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """The smoke grid, run once for all tests of this folder."""
    workflow = Workflow(tmp_path_factory.mktemp("smoke"), "smoke")
    workflow.first = workflow.run()
    return workflow
