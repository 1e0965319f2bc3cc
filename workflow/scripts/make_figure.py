"""Draw one figure."""

from lmodp.records import read_record
from lmodp.reporting.figures import make_figure
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
results, svg, pdf = job.input("results"), job.output("svg"), job.output("pdf")
inputs = job.records("results", "searches", "wins", "landscape")
sources = {**inputs, "curves": results.with_name("curves.parquet")}
job.run_stage(
    "make_figure",
    record=job.output("record"),
    inputs=inputs,
    spec={"grid": job.layout.config.grid, "figure": job.id},
    files=(svg, pdf),
    work=lambda: make_figure(job.id, read_record(results), sources, svg=svg, pdf=pdf),
)
