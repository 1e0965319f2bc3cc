"""Map where LMO noise needs less than the Gaussian."""

from lmodp.reporting.wins import map_wins
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
delta = job.layout.config.privacy.delta[0]
job.run_stage("map_wins", record=job.output("record"), inputs={}, spec={"delta": delta}, work=lambda: map_wins(delta))
