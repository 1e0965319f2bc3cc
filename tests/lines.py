"""Cells' records as tests need them: a stage's record with one line per run."""

from lmodp.records.places import cell_path
from lmodp.records.record import make_record, run_entry, sealed, write_runs

DONE = {"status": "done", "reason": None}


def write_lines(root, cell, stage, lines, **content):
    """Write one stage of a cell; a line states its run, and its status where it is not done."""
    lines = [sealed({"repetition": number, **DONE, **line}) for number, line in enumerate(lines)]
    entries = [run_entry(line) for line in lines]
    write_runs(cell_path(root, cell, stage), make_record(stage, {**content, "runs": entries}, code="0"), lines)
