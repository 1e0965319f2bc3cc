"""Run one offline noise search."""

from lmodp.accounting.search import search_record
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
spec = job.layout.grid.searches[job.id].spec
job.run_stage(
    "search_noise",
    record=job.output("record"),
    inputs={},
    spec=spec,
    work=lambda: search_record(spec),
)
