"""Run one offline noise search."""

from lmodp.accounting.search import search_record
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
spec = job.layout.grid.searches[job.id].spec
run_stage(
    "search_noise",
    record=job.output("record"),
    root=job.layout.results,
    inputs={},
    spec=spec,
    work=lambda: search_record(spec),
)
