"""Ask one method for its mechanism."""

from lmodp.methods.discovery import get_method
from lmodp.pipeline.layout import Job
from lmodp.records.record import read_record
from lmodp.stages.calibrate_noise import calibrate_noise

job = Job(snakemake)  # noqa: F821
layout = job.layout
spec = layout.grid.mechanisms[job.id].spec
method = get_method(spec["method"], layout.config.methods_folder)
inputs = job.records("search", "model")
search = read_record(inputs["search"]) if "search" in inputs else None
job.run_stage(
    "calibrate_noise",
    record=job.output("record"),
    inputs=inputs,
    spec=spec,
    method_file=layout.method_file("calibrate_noise", spec),
    work=lambda: calibrate_noise(spec, method, search, model_folder=layout.model_folder_of_mechanism(job.id)),
)
