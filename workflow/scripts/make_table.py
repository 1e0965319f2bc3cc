"""Write the comparison table as CSV and Markdown."""

from lmodp.records import read_record
from lmodp.reporting.tables import make_table
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
results, csv, markdown = job.input("results"), job.output("csv"), job.output("markdown")
run_stage(
    "make_table",
    record=job.output("record"),
    root=job.layout.results,
    inputs={"results": results},
    spec={"grid": job.layout.config.grid},
    files=(csv, markdown),
    work=lambda: make_table(read_record(results), csv=csv, markdown=markdown),
)
