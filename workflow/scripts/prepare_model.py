"""Write one pretrained model in a hub's folder layout."""

from lmodp.models.prepare_model import prepare_model
from lmodp.pipeline.layout import Job

job = Job(snakemake)  # noqa: F821
layout, folder = job.layout, job.output("stamp").parent
spec = layout.grid.models[job.id].spec
job.run_stage(
    "prepare_model",
    record=job.output("record"),
    inputs=job.records("package"),
    spec=spec,
    artefact=folder,
    work=lambda: prepare_model(
        spec,
        folder=folder,
        cache_root=layout.cache,
        data_root=layout.config.data_folder(),
        settings=layout.config.sources(),
    ),
)
