"""Gather all records of the grid into tables of cells, of runs and of curves."""

from lmodp.pipeline.layout import Job
from lmodp.reporting.results.collect_results import collect_results

job = Job(snakemake)  # noqa: F821
layout, runs, curves = job.layout, job.output("runs"), job.output("curves")
job.run_stage(
    "collect_results",
    record=job.output("record"),
    inputs=job.records("verify", "evaluate", "certificates", "audits"),
    spec={"grid": layout.config.grid, "cells": list(layout.grid.cells)},
    files=(runs, curves),
    work=lambda: collect_results(
        layout.grid, layout.results, runs_file=runs, curves_file=curves, audits=job.records("audits").values()
    ),
)
