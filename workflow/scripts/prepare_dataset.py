"""The rule prepare_dataset: see `lmodp.pipeline.jobs.prepare_dataset`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.prepare_dataset(Job.of_rule(snakemake))
