"""Try the claims of one mechanism by experiment."""

from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.stages.audit_mechanism import audit_mechanism, sampling_of

job = Job(snakemake)  # noqa: F821
config = job.layout.config
spec = {
    **job.layout.grid.mechanisms[job.id].spec,
    "audit": config.audit.model_dump(mode="json"),
    "base_seed": config.base_seed,
}
job.run_stage(
    "audit_mechanism",
    record=job.output("record"),
    inputs=job.records("noise", "certificate"),
    spec=spec,
    work=lambda: audit_mechanism(
        spec,
        read_record(job.input("noise")),
        read_record(job.input("certificate")),
        sampling_of(spec),
        sampler_trials=config.audit.sampler_trials,
    ),
)
