"""The runs of a cell, found from a grid's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.estimate.seconds import cell_seconds, slowness
from lmodp.pipeline.job import Job
from lmodp.records.reuse import input_hashes
from lmodp.records.stage_table import stage_code

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.pipeline.layout import Layout
    from lmodp.stages.cell_runs import CellRuns

CELL_INPUTS = ("certificate", "dataset", "model", "tokens", "activations")
LONG = 600.0  # expected seconds of a run from which on it keeps checkpoints


def runs_of(layout: Layout, cell: Cell) -> CellRuns:
    """Return the runs of a cell, made from the inputs that are there now."""
    from lmodp.stages.cell_runs import CellRuns  # loads torch

    needs = Job.of_stage(layout, "finetune_model", cell.id).records(*CELL_INPUTS)
    expected = cell_seconds(cell, layout.grid) * slowness(layout.config) / cell.repetitions
    return CellRuns(
        cell=cell,
        root=layout.results,
        cache=layout.cache,
        code=stage_code("finetune_model", layout.method_file("finetune_model", cell.spec.to_dict())),
        inputs=input_hashes(layout.results, needs.values()),
        any_code=layout.keeps("finetune_model"),
        device=layout.config.device,
        long=expected > LONG and cell.spec.randomness == "seeded",  # a checkpoint holds the key of the noise
    )
