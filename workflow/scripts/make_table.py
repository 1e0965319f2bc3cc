"""Write comparison, privacy and status as CSV, Markdown and LaTeX."""

from pathlib import Path

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.reporting.tables.make_table import make_table

job = Job(snakemake)  # noqa: F821
results, record = job.input("results"), job.output("record")
job.run_stage(
    "make_table",
    record=record,
    inputs={"results": results},
    spec={"grid": job.layout.config.grid},
    files=tuple(Path(str(path)) for path in snakemake.output.tables),  # noqa: F821
    work=lambda: make_table(read_record(results), record.parent),
)
