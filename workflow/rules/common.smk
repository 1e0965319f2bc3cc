"""The grid, the places of its files, and which records are outdated: all rules use this file."""

import re
import sys
import time
from pathlib import Path

import yaml
from snakemake.utils import update_config

sys.path.insert(0, str(Path(workflow.basedir).resolve()))

from lmodp.errors import LmodpError
from lmodp.pipeline.console import Console, closing_lines, near, speak_plainly, typed
from lmodp.pipeline.layout import Layout
from lmodp.records.stage_table import get_stage


def as_in_a_file(value):
    """Return a value of `--config` as the same words in a file would read: Snakemake takes `true` and nested numbers for text."""
    if isinstance(value, dict):
        return {key: as_in_a_file(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_in_a_file(item) for item in value]
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value


try:
    update_config(config, as_in_a_file(dict(workflow.config_settings.config)))
    LAYOUT = Layout.from_values(config)
except LmodpError as error:
    raise WorkflowError(str(error)) from None

GRID = LAYOUT.grid
NEEDS = LAYOUT.needs
RESULTS = LAYOUT.results
CACHE = LAYOUT.cache
LOGS = CACHE / "logs" / LAYOUT.config.grid

speak_plainly()
CONSOLE = []  # of a run in progress
WHOLE_GRID = " ".join([typed("snakemake"), *(f"--configfile {near(file)}" for file in workflow.overwrite_configfiles)])

# An outdated record gets this file, newer than everything, as a further input.
NOW = CACHE / "now"
try:
    NOW.parent.mkdir(parents=True, exist_ok=True)
    NOW.write_text(str(time.time_ns()))
    Path(".snakemake").mkdir(exist_ok=True)  # Snakemake's own
except OSError as error:
    text = f"folder = {str(Path(error.filename).absolute())!r}: cannot be written ({error.strerror}). "
    raise WorkflowError(f"{text}Run in a folder that can be: snakemake --directory FOLDER") from None


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
