"""Map where LMO noise needs less than the Gaussian."""

from lmodp.pipeline.layout import Job
from lmodp.stages.map_wins import map_wins

job = Job(snakemake)  # noqa: F821
spec = job.layout.mapped_wins()
job.run_stage("map_wins", record=job.output("record"), inputs={}, spec=spec, work=lambda: map_wins(**spec))
