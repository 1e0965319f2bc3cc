"""The rule tokenize_dataset: see `lmodp.pipeline.jobs.tokenize_dataset`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.tokenize_dataset(Job.of_rule(snakemake))
