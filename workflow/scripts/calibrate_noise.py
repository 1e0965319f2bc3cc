"""Ask one method for its mechanism."""

from lmodp.calibration import calibrate_mechanism
from lmodp.records import read_record
from lmodp.registry import get_method
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
layout = job.layout
spec = layout.grid.mechanisms[job.id].spec
method = get_method(spec["method"], layout.config.baselines_folder)
inputs = job.records("search")
run_stage(
    "calibrate_noise",
    record=job.output("record"),
    root=layout.results,
    inputs=inputs,
    spec=spec,
    method_file=layout.method_file(spec["method"]),
    work=lambda: calibrate_mechanism(spec, method, read_record(inputs["search"]) if inputs else None),
)
