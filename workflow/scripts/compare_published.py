"""The rule compare_published: see `lmodp.pipeline.jobs.compare_published`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.compare_published(Job.of_rule(snakemake))
