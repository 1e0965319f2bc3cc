"""The rule search_noise: see `lmodp.pipeline.jobs.search_noise`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.search_noise(Job.of_rule(snakemake))
