"""The rule prepare_model: see `lmodp.pipeline.jobs.prepare_model`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.prepare_model(Job.of_rule(snakemake))
