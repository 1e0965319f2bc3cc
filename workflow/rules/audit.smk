"""Audits of mechanisms: every claim tried by experiment. Those of runs are made with the cells (runs.smk)."""


rule audit_mechanism:
    input:
        unpack(inputs_of("audit_mechanism")),
    output:
        **outputs_of("audit_mechanism"),
    log:
        LOGS / "audit_mechanism/{id}.log",
    params:
        audit=LAYOUT.config.audit.model_dump_json(),
    script:
        "../scripts/audit_mechanism.py"
