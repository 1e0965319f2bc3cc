"""Cells: all repetitions of one method at one target."""


# Two stages in one job: loading torch and transformers takes longer than scoring a cell. Each stage
# has its own record and is left alone where that is current.
rule finetune_and_evaluate_model:
    input:
        unpack(
            tracked(
                [RESULTS / "cells/{id}/finetune.json", RESULTS / "cells/{id}/evaluate.json"],
                **LAYOUT.needs_of_cell(),
            )
        ),
    output:
        finetune=update(RESULTS / "cells/{id}/finetune.json"),
        stamp=update(CACHE / "cells/{id}/complete.json"),
        evaluate=update(RESULTS / "cells/{id}/evaluate.json"),
    threads: LAYOUT.config.threads
    script:
        "../scripts/finetune_and_evaluate_model.py"


rule verify_run:
    input:
        unpack(
            tracked(
                RESULTS / "cells/{id}/verify.json",
                finetune=RESULTS / "cells/{id}/finetune.json",
                certificate=LAYOUT.for_cell("mechanisms", "certificate.json"),
            )
        ),
    output:
        record=update(RESULTS / "cells/{id}/verify.json"),
    script:
        "../scripts/verify_run.py"
