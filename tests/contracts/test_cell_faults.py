"""A fault in one cell: a cause that may go away is tried again at the next start, and the bytes are the same."""

import pytest

from lmodp.errors import InvalidValue, MissingFile, Unsupported
from lmodp.pipeline.layout import Layout
from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.stages import audit_mechanism, certify_mechanism, finetune_model
from tests.contracts.test_release import configuration, flip
from tests.contracts.whole_grid import run_grid, run_job


@pytest.fixture
def grid(tmp_path):
    """A finished grid of one cell, its cell's records and the bytes that they have undisturbed."""
    values = {**configuration(tmp_path), "unfinished": "pending"}
    layout, _ = run_grid(values)
    (cell,) = layout.grid.active
    names = ("finetune_model", "evaluate_model", "verify_run")
    paths = [cell_path(layout.results, cell.id, name) for name in names]
    return values, cell, {path: path.read_bytes() for path in paths}


def forget(layout, cell):
    for path in [*(layout.results / "cells").rglob("*.jsonl"), *(layout.cache / "cells" / cell.id).iterdir()]:
        path.unlink()


def again(values, cell):
    """The next start of the workflow: what it finds outdated before, and the records after."""
    layout = Layout.from_values(values)
    reason = layout.judge.why_outdated(cell_path(layout.results, cell.id, "finetune_model"))
    run_job(layout, "finetune_model", cell.id)
    return reason


def test_a_cause_that_may_go_away_is_tried_again(grid, monkeypatch):
    values, cell, kept = grid
    layout = Layout.from_values(values)
    forget(layout, cell)
    with monkeypatch.context() as patch:
        patch.setattr(finetune_model, "train", lambda *a, **b: (_ for _ in ()).throw(MissingFile("disk = away: gone")))
        run_job(layout, "finetune_model", cell.id)
    record, lines = read_runs(cell_path(layout.results, cell.id, "finetune_model"))
    assert record["retry"] is True and {line["status"] for line in lines} == {"failed"}
    assert "tried again" in again(values, cell)
    assert {path: path.read_bytes() for path in kept} == kept
    assert again(values, cell) is None


def test_a_cause_that_lies_in_the_spec_is_kept(grid, monkeypatch):
    values, cell, _ = grid
    layout = Layout.from_values(values)
    forget(layout, cell)
    with monkeypatch.context() as patch:
        patch.setattr(finetune_model, "train", lambda *a, **b: (_ for _ in ()).throw(InvalidValue("rate = 0: no")))
        run_job(layout, "finetune_model", cell.id)
    assert again(values, cell) is None
    assert "retry" not in read_runs(cell_path(layout.results, cell.id, "finetune_model"))[0]


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", b"lmodp checkpt 2\n" + bytes(500)])
def test_a_damaged_checkpoint_is_thrown_away_and_the_run_done(grid, damage):
    values, cell, kept = grid
    layout = Layout.from_values(values)
    forget(layout, cell)
    checkpoint = layout.cache / "cells" / cell.id / f"{cell.runs[0]}.checkpoint"
    checkpoint.write_bytes(damage)
    again(values, cell)
    assert {path: path.read_bytes() for path in kept} == kept and not checkpoint.exists()


def test_damaged_weights_are_trained_again(grid):
    values, cell, kept = grid
    layout = Layout.from_values(values)
    for path in layout.cache.rglob("*.safetensors"):
        if cell.id in path.parts:
            flip(path)
    cell_path(layout.results, cell.id, "evaluate_model").unlink()
    again(values, cell)
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize("gone", ["results", "cache", "one record", "logs", "weights"])
def test_whatever_of_results_and_cache_is_gone_comes_back_the_same(grid, gone):
    values, cell, kept = grid
    layout = Layout.from_values(values)
    folder = layout.cache / "cells" / cell.id
    lost = {
        "results": list(kept),
        "cache": list(folder.iterdir()),
        "one record": [cell_path(layout.results, cell.id, "evaluate_model")],
        "logs": list(folder.glob("*.json")),
        "weights": list(folder.glob("*.safetensors"))[:1],
    }[gone]
    assert lost
    for path in lost:
        path.unlink()
    if gone in ("logs", "weights", "cache"):
        cell_path(layout.results, cell.id, "verify_run").unlink()  # otherwise nothing starts, and nothing is needed
    again(values, cell)
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ZeroDivisionError("float division by zero"), "failed", "ZeroDivisionError: float division by zero"),
        (OverflowError("too large"), "failed", "OverflowError: too large"),
        (SystemExit("licence server not reached"), "failed", "SystemExit: licence server not reached"),
        (Unsupported("noise = 'mine': no route"), "skipped", "noise = 'mine': no route"),
    ],
)
def test_arithmetic_and_foreign_code_end_one_mechanism_and_not_the_grid(tmp_path, monkeypatch, error, status, reason):
    def raises(*a, **b):
        raise error

    monkeypatch.setattr(certify_mechanism.accounting, "certificate_of", raises)
    layout, results = run_grid(configuration(tmp_path))
    (row,), (cell,) = results["cells"], layout.grid.active
    assert row["status"] == status and row["reason"].startswith(reason)
    monkeypatch.setattr(audit_mechanism, "audit_noise", raises)
    run_job(layout, "audit_mechanism", cell.mechanism)
