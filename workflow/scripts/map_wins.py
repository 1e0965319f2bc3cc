"""The rule map_wins: see `lmodp.pipeline.jobs.map_wins`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.map_wins(Job.of_rule(snakemake))
