"""Draw one figure."""

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.reporting.figures.make_figure import make_figure

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
