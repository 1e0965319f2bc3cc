"""Train all repetitions of one cell, score them, compare them with the plan, and audit one where that is asked for."""

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.stages.evaluate_model import evaluate_model
from lmodp.stages.finetune_model import finetune_model
from lmodp.stages.verify_run import verify_run

job = Job(snakemake)  # noqa: F821
layout, cell = job.layout, job.layout.grid.cell(job.id)
needs = job.records("certificate", "dataset", "model", "tokens", "activations")
finetune, evaluate = job.output("finetune"), job.output("evaluate")
if not job.leave_standing():
    job.run_stage(
        "finetune_model",
        record=finetune,
        inputs=needs,
        spec=cell.spec,
        artefact=layout.cache / "cells" / cell.id,
        method_file=layout.method_file("finetune_model", cell.spec),
        work=lambda: finetune_model(cell, layout=layout, inputs=needs),
    )
    job.run_stage(
        "evaluate_model",
        record=evaluate,
        inputs={"finetune": finetune, **job.records("dataset", "tokens", "activations")},
        spec=cell.spec,
        work=lambda: evaluate_model(cell, layout=layout, finetune=read_record(finetune)),
    )
    job.run_stage(
        "verify_run",
        record=job.output("verify"),
        inputs={"finetune": finetune, **job.records("certificate")},
        spec=cell.spec,
        work=lambda: verify_run(cell, root=layout.results, finetune=read_record(finetune)),
    )
    if cell.id in layout.audited_cells():
        from lmodp.stages.audit_training import audit_training

        inputs = {"finetune": finetune, "evaluate": evaluate, **needs, **job.records("noise")}
        job.run_stage(
            "audit_training",
            record=job.output("audit"),
            inputs=inputs,
            spec={**cell.spec, "audit": layout.config.audit.model_dump(mode="json")},
            work=lambda: audit_training(cell, layout=layout, inputs=inputs, settings=layout.config.audit),
        )
