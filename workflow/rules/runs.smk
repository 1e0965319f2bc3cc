"""Cells: all repetitions of one method at one target.

Four stages in one job (finetune_model, evaluate_model, verify_run and, for one cell a
method, audit_training): loading torch and transformers takes longer than most of them.
Each stage has its own record and is left alone where that is current. A cell whose
records all hold is left alone as a whole: a clone has records and no weights.
"""

import re

AUDITED = LAYOUT.audited_cells()
CELL = {stage: RESULTS / "cells/{id}" / f"{stage}.json" for stage in ("finetune", "evaluate", "verify", "audit")}
UNAUDITED = {stage: path for stage, path in CELL.items() if stage != "audit"}


def one_of(ids):
    """A pattern of just these ids; of none, one that matches nothing."""
    return "|".join(map(re.escape, ids)) or "(?!)"


rule finetune_model:
    input:
        unpack(tracked(list(UNAUDITED.values()), **LAYOUT.needs_of_cell())),
    output:
        **{stage: update(path) for stage, path in UNAUDITED.items()},
    wildcard_constraints:
        id=one_of(cell.id for cell in GRID.active if cell.id not in AUDITED),
    threads: LAYOUT.config.threads
    script:
        "../scripts/finetune_model.py"


use rule finetune_model as finetune_and_audit_model with:
    input:
        unpack(
            tracked(list(CELL.values()), noise=LAYOUT.for_cell("mechanisms", "noise.json"), **LAYOUT.needs_of_cell())
        ),
    output:
        **{stage: update(path) for stage, path in CELL.items()},
    wildcard_constraints:
        id=one_of(AUDITED),


# Targets: all cells as far as one stage.
rule evaluate_model:
    input:
        LAYOUT.cell_records("evaluate.json"),


rule verify_run:
    input:
        LAYOUT.cell_records("verify.json"),


rule audit_training:
    input:
        LAYOUT.training_audits(),
