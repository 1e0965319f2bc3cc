"""A results folder made of fabricated results, as the reporting rules leave it."""

import pandas as pd
import pytest

from lmodp.records.record import make_record, write_json
from lmodp.reporting.results.collect_results import CURVE_COLUMNS
from tests.unit.reporting.fabricated import fabricated_results


@pytest.fixture
def results():
    return fabricated_results()


@pytest.fixture
def curves(tmp_path):
    """Ten steps of two runs of one cell, scored along the way."""
    cell = "head-gaussian-claimed-e3-0a1b2c3d"
    rows = [
        (
            cell,
            f"run{run}",
            run,
            "gaussian",
            "claimed",
            3.0,
            "head",
            step,
            "accuracy",
            0.5 + 0.01 * step * (11 - step) + 0.02 * run,
        )
        for run in range(2)
        for step in range(1, 11)
    ]
    path = tmp_path / "curves.parquet"
    pd.DataFrame(rows, columns=list(CURVE_COLUMNS)).to_parquet(path, index=False)
    return path


@pytest.fixture
def folder(tmp_path, results):
    """The records that commands and report read."""
    root = tmp_path / "results"
    content = {name: value for name, value in results.items() if name != "status"}
    write_json(root / "tables/results.json", make_record("collect_results", content, code="0"))
    return root
