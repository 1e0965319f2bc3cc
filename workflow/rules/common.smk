"""What every rule needs: the grid, the places of its files, and which records are outdated."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).resolve()))

from lmodp.errors import LmodpError
from lmodp.pipeline.layout import Layout

try:
    LAYOUT = Layout.from_values(config)
except LmodpError as error:
    raise WorkflowError(str(error)) from None

GRID = LAYOUT.grid
RESULTS = LAYOUT.results
CACHE = LAYOUT.cache

# An outdated record gets this file, newer than everything, as a further input.
NOW = CACHE / "now"
NOW.parent.mkdir(parents=True, exist_ok=True)
NOW.write_text(str(time.time_ns()))


def tracked(record, **files):
    """Return an input function for the rule that makes ``record`` (or several).

    Snakemake compares file times, which a fresh clone does not have. So inputs are
    `ancient`, and what reruns a rule is that its record is outdated: made by other
    code or from other inputs (see `lmodp.records.reuse.why_outdated`), upstream included.
    """

    def inputs(wildcards):
        places = [
            Path(str(item).format(**dict(wildcards))) for item in ([record] if isinstance(record, Path) else record)
        ]
        found = {
            name: file(wildcards) if callable(file) else str(file).format(**dict(wildcards))
            for name, file in files.items()
        }
        if any(LAYOUT.outdated(place) for place in places):
            return {**found, "now": NOW}
        return {name: ancient(file) for name, file in found.items()}

    return inputs


wildcard_constraints:
    package=r"[A-Za-z0-9_.-]+",
    id=r"[A-Za-z0-9_.-]+",
