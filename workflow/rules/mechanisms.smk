"""Mechanisms: searched, calibrated and certified before any training."""


rule search_noise:
    input:
        unpack(inputs_of("search_noise")),
    output:
        **outputs_of("search_noise"),
    log:
        LOGS / "search_noise/{id}.log",
    script:
        "../scripts/search_noise.py"


rule calibrate_noise:
    input:
        unpack(inputs_of("calibrate_noise")),
    output:
        **outputs_of("calibrate_noise"),
    log:
        LOGS / "calibrate_noise/{id}.log",
    script:
        "../scripts/calibrate_noise.py"


rule certify_mechanism:
    input:
        unpack(inputs_of("certify_mechanism")),
    output:
        **outputs_of("certify_mechanism"),
    log:
        LOGS / "certify_mechanism/{id}.log",
    script:
        "../scripts/certify_mechanism.py"
