"""Write the page that a reader understands without the code."""

from lmodp.records import read_record
from lmodp.reporting.catalogue import figure_names
from lmodp.reporting.report import write_report
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
root, html = job.layout.results, job.output("html")
job.run_stage(
    "report",
    record=job.output("record"),
    inputs=job.records("results", "table", "published", "cost", "figures"),
    spec={"grid": job.layout.config.grid},
    files=(html,),
    work=lambda: write_report(read_record(job.input("results")), root=root, figures=figure_names(job.layout), html=html),
)
