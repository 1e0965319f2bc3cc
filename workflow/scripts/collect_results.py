"""The rule collect_results: see `lmodp.pipeline.jobs.collect_results`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.collect_results(Job.of_rule(snakemake))
