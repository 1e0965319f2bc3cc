"""Set the published numbers beside the suite's own."""

from pathlib import Path

from lmodp.records import read_record
from lmodp.reporting.published import compare_published, read_published
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
results, published, record = job.input("results"), job.input("published"), job.output("record")
job.run_stage(
    "compare_published",
    record=record,
    inputs={"results": results, "published": published},
    spec={"grid": job.layout.config.grid},
    files=tuple(Path(str(path)) for path in snakemake.output.tables),  # noqa: F821
    work=lambda: compare_published(read_record(results), read_published(published), results.with_name("curves.parquet"), record.parent),
)
