"""Load, check and split one data set."""

from lmodp.data.prepare_dataset import prepare_dataset
from lmodp.pipeline.layout import Job

job = Job(snakemake)  # noqa: F821
layout, folder = job.layout, job.output("stamp").parent
spec = layout.grid.datasets[job.id].spec
job.run_stage(
    "prepare_dataset",
    record=job.output("record"),
    inputs=job.records("package"),
    spec=spec,
    artefact=folder,
    work=lambda: prepare_dataset(
        spec,
        folder=folder,
        cache_root=layout.cache,
        data_root=layout.config.data_folder(),
        settings=layout.config.sources(),
    ),
)
