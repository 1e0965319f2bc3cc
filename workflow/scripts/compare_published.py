"""Set the published numbers beside the suite's own."""

from pathlib import Path

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.reporting.tables.compare_published import compare_published, read_published

job = Job(snakemake)  # noqa: F821
results, published, record = job.input("results"), job.input("published"), job.output("record")
job.run_stage(
    "compare_published",
    record=record,
    inputs={"results": results, "published": published},
    spec={"grid": job.layout.config.grid},
    files=tuple(Path(str(path)) for path in snakemake.output.tables),  # noqa: F821
    work=lambda: compare_published(
        read_record(results), read_published(published), results.with_name("curves.parquet"), record.parent
    ),
)
