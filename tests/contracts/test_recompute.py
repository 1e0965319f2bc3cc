"""A number that was changed together with its hash is found by computing it again."""

import json

import pytest
import yaml

from lmodp.cli import main
from lmodp.records.record import sealed, write_json
from tests.contracts.test_release import configuration
from tests.contracts.whole_grid import run_grid, run_job


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A finished grid with a table, and its configuration as a file."""
    folder = tmp_path_factory.mktemp("grid")
    values = {**configuration(folder), "unfinished": "pending"}
    layout, _ = run_grid(values)
    run_job(layout, "make_table")
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    return layout, file


def check(file, capsys):
    status = main(["check", str(file), "--recompute"])
    return status, capsys.readouterr().out


def test_an_honest_grid_agrees(grid, capsys):
    status, told = check(grid[1], capsys)
    assert "1 certificates computed again, all agree" in told
    assert "2 tables, figures and pages computed again, all agree" in told and status == 0


@pytest.mark.parametrize(
    ("pattern", "change", "told"),
    [
        ("mechanisms/*/certificate.json", ("certificate", "verified", "upper"), "certificate.verified.upper is"),
        ("mechanisms/*/certificate.json", ("certificate", "claimed", "epsilon_run"), "certificate.claimed.epsilon_run"),
        ("tables/results.json", ("cells", 0, "verified_upper"), "tables/results.json: is another one"),
    ],
)
def test_a_forged_digit_is_found_although_its_hash_fits(grid, capsys, pattern, change, told):
    layout, file = grid
    (path,) = layout.results.glob(pattern)
    kept = path.read_bytes()
    forged = json.loads(kept)
    inner = forged
    for part in change[:-1]:
        inner = inner[part]
    inner[change[-1]] *= 0.99
    write_json(path, sealed(forged))
    try:
        status, found = check(file, capsys)
    finally:
        path.write_bytes(kept)
    assert status == 1 and told in found
