"""The rule finetune_and_audit_model: see `lmodp.pipeline.jobs.finetune_and_audit_model`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.finetune_and_audit_model(Job.of_rule(snakemake))
