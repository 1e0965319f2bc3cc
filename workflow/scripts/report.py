"""Write the page that a reader understands without the code."""

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.reporting.figures.catalogue import figure_names
from lmodp.reporting.page.report import report

job = Job(snakemake)  # noqa: F821
root, html = job.layout.results, job.output("html")
job.run_stage(
    "report",
    record=job.output("record"),
    inputs=job.records("results", "table", "published", "cost", "figures"),
    spec={"grid": job.layout.config.grid},
    files=(html,),
    work=lambda: report(read_record(job.input("results")), root=root, figures=figure_names(job.layout), html=html),
)
