"""Audits of mechanisms: every claim tried by experiment. Those of runs are made with the cells (runs.smk)."""


rule audit_mechanism:
    input:
        unpack(
            tracked(
                RESULTS / "mechanisms/{id}/audit.json",
                noise=RESULTS / "mechanisms/{id}/noise.json",
                certificate=RESULTS / "mechanisms/{id}/certificate.json",
            )
        ),
    output:
        record=update(RESULTS / "mechanisms/{id}/audit.json"),
    params:
        audit=LAYOUT.config.audit.model_dump_json(),
    script:
        "../scripts/audit_mechanism.py"
