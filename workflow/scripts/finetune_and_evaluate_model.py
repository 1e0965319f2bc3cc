"""Train all repetitions of one cell, then score them on the evaluation split."""

from lmodp.evaluate import evaluate_cell
from lmodp.finetune import finetune_cell
from lmodp.records import read_record
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
layout, cell = job.layout, job.layout.grid.cell(job.id)
inputs = job.records("certificate", "dataset", "model", "tokens", "activations")
finetune = job.output("finetune")
run_stage(
    "finetune_model",
    record=finetune,
    root=layout.results,
    inputs=inputs,
    spec=cell.spec,
    artefact=job.output("stamp").parent,
    method_file=layout.plug_in("finetune_model", cell.spec),
    work=lambda: finetune_cell(cell, layout=layout, inputs=inputs),
)
run_stage(
    "evaluate_model",
    record=job.output("evaluate"),
    root=layout.results,
    inputs={"finetune": finetune, **job.records("dataset", "tokens", "activations")},
    spec=cell.spec,
    work=lambda: evaluate_cell(cell, layout=layout, finetune=read_record(finetune)),
)
