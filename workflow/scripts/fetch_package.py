"""The rule fetch_package: see `lmodp.pipeline.jobs.fetch_package`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.fetch_package(Job.of_rule(snakemake))
