"""The rule report: see `lmodp.pipeline.jobs.report`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.report(Job.of_rule(snakemake))
