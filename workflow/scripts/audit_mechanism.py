"""The rule audit_mechanism: see `lmodp.pipeline.jobs.audit_mechanism`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.audit_mechanism(Job.of_rule(snakemake))
