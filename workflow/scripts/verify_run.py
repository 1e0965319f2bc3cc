"""Compare every run of one cell with the plan that was certified."""

from lmodp.conformance import verify_cell
from lmodp.records import read_record
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
cell = job.layout.grid.cell(job.id)
run_stage(
    "verify_run",
    record=job.output("record"),
    root=job.layout.results,
    inputs=job.records("finetune", "certificate"),
    spec=cell.spec,
    work=lambda: verify_cell(cell, root=job.layout.results, finetune=read_record(job.input("finetune"))),
)
