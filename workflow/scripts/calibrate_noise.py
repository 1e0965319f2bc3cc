"""The rule calibrate_noise: see `lmodp.pipeline.jobs.calibrate_noise`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.calibrate_noise(Job.of_rule(snakemake))
