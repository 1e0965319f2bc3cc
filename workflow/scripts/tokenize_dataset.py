"""Turn one data set into one model's tokens."""

from lmodp.data.tokenize_dataset import tokenize_dataset
from lmodp.pipeline.layout import Job

job = Job(snakemake)  # noqa: F821
folder = job.output("stamp").parent
spec = job.layout.grid.tokens[job.id].spec
job.run_stage(
    "tokenize_dataset",
    record=job.output("record"),
    inputs=job.records("dataset", "model"),
    spec=spec,
    artefact=folder,
    work=lambda: tokenize_dataset(
        spec,
        dataset_folder=job.input("dataset_stamp").parent,
        model_folder=job.input("model_stamp").parent,
        folder=folder,
    ),
)
