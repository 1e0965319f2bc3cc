"""The rule certify_mechanism: see `lmodp.pipeline.jobs.certify_mechanism`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.certify_mechanism(Job.of_rule(snakemake))
