"""Cost: medians of complete runs, against the non-private cell on the same device."""

import json

import pytest

from lmodp.records.places import timing_path
from lmodp.reporting.tables.measure_cost import RESUMED, measure_cost


def timing(seconds, steps=40, device="cpu"):
    return {
        "wall_seconds": seconds,
        "steps_run": steps,
        "device": device,
        "threads": 1,
        "peak_memory_bytes": 3 * 2**20,
        "peak_memory_of": "process",
    }


def test_medians_and_ratios(results, tmp_path):
    by_name = {
        (cell["experiment"], cell["method"], cell["calibration"], cell["epsilon"]): cell for cell in results["cells"]
    }
    plain, private, other = (
        by_name[key]
        for key in (
            ("head", "nonprivate", None, None),
            ("head", "gaussian", "claimed", 3),
            ("head", "laplace", "claimed", 3),
        )
    )
    timed = {plain["cell"]: [2.0, 4.0, 90.0], private["cell"]: [6.0, 5.0, 7.0]}
    lines = {cell: [timing(value) for value in seconds] for cell, seconds in timed.items()}
    lines[private["cell"]].append(timing(0.1, steps=3))  # went on from a checkpoint
    lines[other["cell"]] = [timing(1.0, device="cuda")]
    for cell, measured in lines.items():
        path = timing_path(tmp_path, cell)
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(item) + "\n" for item in measured))
    rows = {row["cell"]: row for row in measure_cost(results, tmp_path, tmp_path)["rows"]}
    assert rows[private["cell"]]["seconds_a_step"] == pytest.approx(6.0 / 40)
    assert rows[private["cell"]]["over_nonprivate"] == pytest.approx(6.0 / 4.0) and rows[private["cell"]]["runs"] == 3
    assert rows[other["cell"]]["over_nonprivate"] is None
    untimed = next(row for row in rows.values() if row["status"] == "done" and not row["runs"])
    assert untimed["reason"] == RESUMED
    assert "peak memory" in (tmp_path / "cost.md").read_text()
