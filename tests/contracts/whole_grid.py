"""A whole grid in this process, by the workflow's own jobs: every stage but audits and pictures, without Snakemake."""

from pathlib import Path

from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job
from lmodp.pipeline.layout import Layout
from lmodp.records.record import read_record


def run_grid(values):
    """Compute all cells of a configuration and return the layout and the content of results.json."""
    layout = Layout.from_values({**values, "unfinished": "pending"})  # no audits are made here
    grid = layout.grid
    for stage, things in (
        ("prepare_dataset", grid.datasets),
        ("prepare_model", grid.models),
        ("tokenize_dataset", grid.tokens),
        ("cache_activations", grid.activations),
        ("search_noise", grid.searches),
        ("calibrate_noise", grid.mechanisms),
        ("certify_mechanism", grid.mechanisms),
    ):
        for thing in things:
            run_job(layout, stage, thing)
    for cell in grid.active:
        run_job(layout, "finetune_model", cell.id)
    run_job(layout, "collect_results")
    return layout, read_record(layout.outputs("collect_results", "")["record"])


def run_job(layout, stage, thing=""):
    """Do what the rule of a stage does."""
    getattr(jobs, stage)(Job.of_stage(layout, stage, thing))


def outdated(layout: Layout, place: str) -> bool:
    """Whether the workflow would make a record again."""
    return layout.judge.why_outdated(Path(layout.results / place)) is not None
