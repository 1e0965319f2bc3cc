"""Cells: all repetitions of one method at one target are trained, scored and verified in one job each."""


rule finetune_model:
    input:
        unpack(tracked(RESULTS / "cells/{id}/finetune.json", **LAYOUT.needs_of_cell())),
    output:
        record=update(RESULTS / "cells/{id}/finetune.json"),
        stamp=update(CACHE / "cells/{id}/complete.json"),
    threads: LAYOUT.config.threads
    script:
        "../scripts/finetune_model.py"


rule evaluate_model:
    input:
        unpack(
            tracked(
                RESULTS / "cells/{id}/evaluate.json",
                finetune=RESULTS / "cells/{id}/finetune.json",
                stamp=CACHE / "cells/{id}/complete.json",
                **LAYOUT.needs_of_cell(),
            )
        ),
    output:
        record=update(RESULTS / "cells/{id}/evaluate.json"),
    threads: LAYOUT.config.threads
    script:
        "../scripts/evaluate_model.py"


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
