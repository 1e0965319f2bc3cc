"""Audits: the claims of every mechanism, and one run a method, tried by experiment."""


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


rule audit_training:
    input:
        unpack(
            tracked(
                RESULTS / "cells/{id}/audit.json",
                finetune=RESULTS / "cells/{id}/finetune.json",
                evaluate=RESULTS / "cells/{id}/evaluate.json",
                noise=LAYOUT.for_cell("mechanisms", "noise.json"),
                **LAYOUT.needs_of_cell(),
            )
        ),
    output:
        record=update(RESULTS / "cells/{id}/audit.json"),
    params:
        audit=LAYOUT.config.audit.model_dump_json(),
    threads: LAYOUT.config.threads
    script:
        "../scripts/audit_training.py"
