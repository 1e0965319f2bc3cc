"""Draw accuracy against claimed and against verified epsilon."""

from lmodp.records import read_record
from lmodp.reporting.figures import make_figure
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
results, svg, pdf = job.input("results"), job.output("svg"), job.output("pdf")
run_stage(
    "make_figure",
    record=job.output("record"),
    root=job.layout.results,
    inputs={"results": results},
    spec={"grid": job.layout.config.grid},
    files=(svg, pdf),
    work=lambda: make_figure(read_record(results), svg=svg, pdf=pdf),
)
