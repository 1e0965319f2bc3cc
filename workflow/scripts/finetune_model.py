"""The rule finetune_model: see `lmodp.pipeline.jobs.finetune_model`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.finetune_model(Job.of_rule(snakemake))
