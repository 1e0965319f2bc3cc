"""The grid that is disturbed: computed once in a session, copied for every test."""

import random
import shutil

import pytest

from tests.faults.world import SEED, configuration, start, state


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Folder, configuration and bytes of the grid as it is when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("grid")
    values = configuration(folder)
    start(values)
    assert start(values) == [], "a second start has nothing to do"
    return folder, values, state(values)


@pytest.fixture
def disturbed(undisturbed, tmp_path):
    """A copy of the finished grid in a folder of its own, and the bytes that must come back."""
    folder, _, kept = undisturbed
    for name in ("results", "cache"):
        shutil.copytree(folder / name, tmp_path / name)
    return configuration(tmp_path), kept


@pytest.fixture
def chance(request):
    """Random choices that are the same at every run of a test."""
    return random.Random(f"{SEED} {request.node.nodeid}")


def pytest_collection_modifyitems(items):
    """All of this folder runs by `make test-faults` alone."""
    for item in items:
        if "tests/faults/" in item.path.as_posix():
            item.add_marker(pytest.mark.faults)
