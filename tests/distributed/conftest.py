"""All of this folder runs by `make test-distributed` alone: every test starts processes that load torch."""

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/distributed/" in item.path.as_posix():
            item.add_marker(pytest.mark.distributed)
