"""Compute the outputs of a frozen prefix once, for every split."""

from lmodp.pipeline.layout import Job
from lmodp.stages.cache_activations import cache_activations

job = Job(snakemake)  # noqa: F821
folder = job.output("stamp").parent
spec = job.layout.grid.activations[job.id].spec
job.run_stage(
    "cache_activations",
    record=job.output("record"),
    inputs=job.records("tokens", "model"),
    spec=spec,
    artefact=folder,
    work=lambda: cache_activations(
        spec,
        tokens_folder=job.input("tokens_stamp").parent,
        model_folder=job.input("model_stamp").parent,
        folder=folder,
    ),
)
