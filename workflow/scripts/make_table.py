"""The rule make_table: see `lmodp.pipeline.jobs.make_table`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.make_table(Job.of_rule(snakemake))
