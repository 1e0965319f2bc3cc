"""Gather all records of the grid into one table of cells and one of runs."""

from lmodp.reporting.collect import collect_results
from lmodp.stages import run_stage
from lmodp.workflow import Job

job = Job(snakemake)  # noqa: F821
layout, runs = job.layout, job.output("runs")
run_stage(
    "collect_results",
    record=job.output("record"),
    root=layout.results,
    inputs=job.records("verify", "evaluate", "certificates"),
    spec={"grid": layout.config.grid, "cells": list(layout.grid.cells)},
    files=(runs,),
    work=lambda: collect_results(layout.grid, layout.results, runs),
)
