"""The rule measure_cost: see `lmodp.pipeline.jobs.measure_cost`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.measure_cost(Job.of_rule(snakemake))
