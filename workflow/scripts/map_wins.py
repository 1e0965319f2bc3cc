"""Map where LMO noise needs less than the Gaussian."""

from lmodp.reporting.wins import map_wins
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
spec = job.layout.mapped_wins()
job.run_stage("map_wins", record=job.output("record"), inputs={}, spec=spec, work=lambda: map_wins(**spec))
