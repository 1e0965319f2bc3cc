"""Write time a step, peak memory and the ratio to non-private."""

from pathlib import Path

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.reporting.tables.measure_cost import measure_cost

job = Job(snakemake)  # noqa: F821
root, results, record = job.layout.results, job.input("results"), job.output("record")
job.run_stage(
    "measure_cost",
    record=record,
    inputs={"results": results},
    spec={"grid": job.layout.config.grid},
    files=tuple(Path(str(path)) for path in snakemake.output.tables),  # noqa: F821
    work=lambda: measure_cost(read_record(results), root, record.parent),
)
