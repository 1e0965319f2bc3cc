"""Run one offline noise search."""

from lmodp.pipeline.layout import Job
from lmodp.stages.search_noise import search_noise

job = Job(snakemake)  # noqa: F821
spec = job.layout.grid.searches[job.id].spec
job.run_stage(
    "search_noise",
    record=job.output("record"),
    inputs={},
    spec=spec,
    work=lambda: search_noise(spec),
)
