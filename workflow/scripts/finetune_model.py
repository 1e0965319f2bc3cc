"""Train all repetitions of one cell."""

from lmodp.finetune import finetune_cell
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
layout, cell = job.layout, job.layout.grid.cell(job.id)
inputs = job.records("certificate", "dataset", "model", "tokens", "activations")
run_stage(
    "finetune_model",
    record=job.output("record"),
    root=layout.results,
    inputs=inputs,
    spec=cell.spec,
    artefact=job.output("stamp").parent,
    method_file=layout.plug_in("finetune_model", cell.spec),
    work=lambda: finetune_cell(cell, layout=layout, inputs=inputs),
)
