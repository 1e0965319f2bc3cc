"""Score all runs of one cell on the evaluation split."""

from lmodp.evaluate import evaluate_cell
from lmodp.records import read_record
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
layout, cell = job.layout, job.layout.grid.cell(job.id)
run_stage(
    "evaluate_model",
    record=job.output("record"),
    root=layout.results,
    inputs=job.records("finetune", "dataset", "tokens", "activations"),
    spec=cell.spec,
    work=lambda: evaluate_cell(cell, layout=layout, finetune=read_record(job.input("finetune"))),
)
