"""Map the searched space under every accountant."""

from lmodp.pipeline.layout import Job
from lmodp.stages.map_space import map_space

job = Job(snakemake)  # noqa: F821
spec = job.layout.shown_landscape()
job.run_stage(
    "map_space",
    record=job.output("record"),
    inputs={},
    spec=spec,
    files=(job.output("points"),),
    work=lambda: map_space(spec, points_file=job.output("points")),
)
