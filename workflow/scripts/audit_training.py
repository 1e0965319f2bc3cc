"""Train one run of one cell with canaries and bound its epsilon from below."""

from lmodp.audit_training import audit_training
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
layout, cell = job.layout, job.layout.grid.cell(job.id)
inputs = job.records("finetune", "evaluate", "certificate", "noise", "dataset", "model", "tokens", "activations")
spec = {**cell.spec, "audit": layout.config.audit.model_dump(mode="json")}
run_stage(
    "audit_training",
    record=job.output("record"),
    root=layout.results,
    inputs=inputs,
    spec=spec,
    work=lambda: audit_training(cell, layout=layout, inputs=inputs, settings=layout.config.audit),
)
