"""The grid, the places of its files, and which records are outdated: all rules use this file."""

import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).resolve()))

from lmodp.errors import LmodpError
from lmodp.pipeline.layout import Layout
from lmodp.records.stage_table import get_stage

try:
    LAYOUT = Layout.from_values(config)
except LmodpError as error:
    raise WorkflowError(str(error)) from None

GRID = LAYOUT.grid
NEEDS = LAYOUT.needs
RESULTS = LAYOUT.results
CACHE = LAYOUT.cache
LOGS = CACHE / "logs" / LAYOUT.config.grid

# An outdated record gets this file, newer than everything, as a further input.
NOW = CACHE / "now"
NOW.parent.mkdir(parents=True, exist_ok=True)
NOW.write_text(str(time.time_ns()))


def inputs_of(rule, *stages):
    """Return an input function for a rule that makes the records of stages (by default of the one of its name).

    Snakemake compares file times, which a fresh clone does not have. So inputs are
    `ancient`. A rule runs again if one of its records is outdated, that is, made by other
    code or from other inputs (see `lmodp.records.reuse.Judge`), upstream included.
    """

    def inputs(wildcards):
        thing = getattr(wildcards, "id", "")
        found = {name: list(map(str, paths)) for name, paths in NEEDS.inputs(rule, thing).items()}
        records = [LAYOUT.outputs(stage, thing)["record"] for stage in stages or (rule,)]
        if any(LAYOUT.judge.why_outdated(record) for record in records):
            return {**found, "now": NOW}
        return {name: ancient(files) for name, files in found.items()}

    return inputs


def outputs_of(stage):
    """Return the outputs of a stage by name. They are updated in place: a record that stands is left as it is."""
    return {name: update(LAYOUT.place(file, "{id}")) for name, file in get_stage(stage).files.items()}


def one_of(ids):
    """A pattern of just these ids; of none, one that matches nothing."""
    return "|".join(map(re.escape, ids)) or "(?!)"


def records_of(*stages):
    """The records of these stages of a cell, by stage."""
    return {stage: outputs_of(stage)["record"] for stage in stages}


wildcard_constraints:
    id=r"[A-Za-z0-9_.-]+",
