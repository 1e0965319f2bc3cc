"""SLURM, started once for this folder, on a machine that somebody has called a throw-away one."""

import os
import subprocess

import pytest

from tests.cluster import slurm as control

VARIABLE = "LMODP_THROW_AWAY_MACHINE"


def pytest_collection_modifyitems(items):
    """All of this folder runs by `make test-cluster` alone."""
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """The running SLURM's module."""
    if os.environ.get(VARIABLE) != "yes":
        pytest.exit(
            f"{VARIABLE} = {os.environ.get(VARIABLE)!r}: must be 'yes'. This installs packages as root, writes "
            "/etc/slurm and starts daemons: do it only where nothing is lost.",
            returncode=2,
        )
    folder = tmp_path_factory.mktemp("slurm")
    control.start(folder)
    yield control
    control.stop(folder)


@pytest.fixture
def told(request):
    """A function that keeps what was measured, for docs/cluster.md."""
    lines = []
    yield lines.append
    report = request.config.rootpath / "build/cluster.txt"
    report.parent.mkdir(exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    with report.open("a") as stream:
        stream.write("\n".join([f"# {request.node.name}, commit {commit.strip()}", *lines, ""]) + "\n")
