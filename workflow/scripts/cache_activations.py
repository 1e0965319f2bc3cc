"""The rule cache_activations: see `lmodp.pipeline.jobs.cache_activations`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.cache_activations(Job.of_rule(snakemake))
