"""The rule make_figure: see `lmodp.pipeline.jobs.make_figure`."""

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job

jobs.make_figure(Job.of_rule(snakemake))
