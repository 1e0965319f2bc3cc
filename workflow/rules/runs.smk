"""Cells: all repetitions of one method at one target.

Four stages in one job (finetune_model, evaluate_model, verify_run and, for one cell per
method, audit_training): loading torch and transformers takes longer than most of them.
Each stage has its own record and is left alone where that is current. A cell whose
records all stand is left alone as a whole: a clone has records and no weights.
"""

AUDITED = NEEDS.audited_cells
CELL_STAGES = ("finetune_model", "evaluate_model", "verify_run")


rule finetune_model:
    input:
        unpack(inputs_of("finetune_model", *CELL_STAGES)),
    output:
        **records_of(*CELL_STAGES),
    log:
        LOGS / "finetune_model/{id}.log",
    wildcard_constraints:
        id=one_of(cell.id for cell in GRID.active if cell.id not in AUDITED),
    threads: LAYOUT.config.threads
    script:
        "../scripts/finetune_model.py"


rule finetune_and_audit_model:
    input:
        unpack(inputs_of("finetune_and_audit_model", *CELL_STAGES, "audit_training")),
    output:
        **records_of(*CELL_STAGES, "audit_training"),
    log:
        LOGS / "finetune_and_audit_model/{id}.log",
    wildcard_constraints:
        id=one_of(AUDITED),
    threads: LAYOUT.config.threads
    script:
        "../scripts/finetune_and_audit_model.py"


# Targets: all cells as far as one stage.
rule all_evaluated:
    input:
        NEEDS.of_cells("evaluate_model"),


rule all_verified:
    input:
        NEEDS.of_cells("verify_run"),


rule all_audited:
    input:
        NEEDS.training_audits(),
