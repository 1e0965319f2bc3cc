"""Answer "what is epsilon?" for one mechanism."""

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.stages.certify_mechanism import certify_mechanism

job = Job(snakemake)  # noqa: F821
spec = job.layout.grid.mechanisms[job.id].spec
job.run_stage(
    "certify_mechanism",
    record=job.output("record"),
    inputs=job.records("noise"),
    spec=spec,
    work=lambda: certify_mechanism(spec, read_record(job.input("noise"))),
)
