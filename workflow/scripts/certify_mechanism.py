"""Answer "what is epsilon?" for one mechanism."""

from lmodp.certification import certify_mechanism
from lmodp.records import read_record
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
spec = job.layout.grid.mechanisms[job.id].spec
job.run_stage(
    "certify_mechanism",
    record=job.output("record"),
    inputs=job.records("noise"),
    spec=spec,
    work=lambda: certify_mechanism(spec, read_record(job.input("noise"))),
)
