"""The rule map_space: see `lmodp.pipeline.jobs.map_space`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.map_space(Job.of_rule(snakemake))
