"""A cell of a grid whose runs are trained by two processes each: the workflow's own job, and its records."""

import numpy as np
import pytest
from safetensors.torch import load_file

from lmodp.errors import RankLost
from lmodp.pipeline import ranked
from lmodp.pipeline.bundles import Bundles
from lmodp.pipeline.jobs import runs_of
from lmodp.pipeline.layout import Layout
from lmodp.pipeline.run_bundle import do_tasks
from lmodp.records.places import timings_of
from tests.faults.world import configuration


@pytest.fixture
def cell_of(tmp_path):
    """A function that computes a small grid with so many processes a run; returns the runs of its only cell."""

    def made(processes):
        values = configuration(tmp_path / str(processes), methods=["gaussian"], processes=processes)
        layout = Layout.from_values({**values, "unfinished": "compute"})
        bundles = Bundles(layout)
        cell = next(iter(layout.grid.cells.values()))
        kinds = ("prepare_dataset", "prepare_model", "tokenize_dataset", "cache_activations")
        kinds += ("calibrate_noise", "certify_mechanism", "finetune_model", "finetune_and_audit_model")
        done = do_tasks(bundles, (task for task in bundles.tasks if task.job in kinds))
        assert not [item["failure"] for item in done if item["failure"]]
        return runs_of(layout, cell)

    return made


def test_two_processes_leave_the_records_of_one(cell_of):
    one, two = cell_of(1), cell_of(2)
    (_, alone), (_, lines) = one.trained(), two.trained()
    assert [line["status"] for line in lines] == ["done", "done"]
    for name in ("batch_sizes", "clipped"):
        assert lines[0]["per_step"][name] == alone[0]["per_step"][name]
    assert [line["noise_measured"] for line in lines] == [line["noise_measured"] for line in alone]
    for run in one.cell.runs:
        first, second = load_file(one.weights(run)), load_file(two.weights(run))
        for name, value in first.items():
            np.testing.assert_allclose(second[name], value, rtol=1e-4, atol=1e-5)
    assert [item["ranks"] for item in timings_of(two.root, two.cell.id)] == [2, 2]


def test_a_rank_that_ends_is_named(cell_of, monkeypatch):
    runs = cell_of(1)
    layout = Layout.from_values(configuration(runs.root.parent.parent, methods=["gaussian"], processes=2))
    runs.weights(runs.cell.runs[1]).unlink()
    monkeypatch.setattr(ranked, "__name__", "lmodp.no_such_module")
    with pytest.raises(
        RankLost, match=r"processes = 2: rank \d ended with exit code 1. Its log says more. Start again"
    ):
        ranked.train_in_ranks(layout, runs)
