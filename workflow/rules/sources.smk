"""Data, models, tokens and the cached activations of frozen layers: once each, and first, since all cells wait for them."""


rule fetch_package:
    output:
        CACHE / "packages/{id}/fetched.json",
    log:
        LOGS / "fetch_package/{id}.log",
    priority: 10
    script:
        "../scripts/fetch_package.py"


rule prepare_dataset:
    input:
        unpack(inputs_of("prepare_dataset")),
    output:
        **outputs_of("prepare_dataset"),
    log:
        LOGS / "prepare_dataset/{id}.log",
    priority: 10
    script:
        "../scripts/prepare_dataset.py"


rule prepare_model:
    input:
        unpack(inputs_of("prepare_model")),
    output:
        **outputs_of("prepare_model"),
    log:
        LOGS / "prepare_model/{id}.log",
    priority: 10
    script:
        "../scripts/prepare_model.py"


rule tokenize_dataset:
    input:
        unpack(inputs_of("tokenize_dataset")),
    output:
        **outputs_of("tokenize_dataset"),
    log:
        LOGS / "tokenize_dataset/{id}.log",
    priority: 10
    script:
        "../scripts/tokenize_dataset.py"


rule cache_activations:
    input:
        unpack(inputs_of("cache_activations")),
    output:
        **outputs_of("cache_activations"),
    log:
        LOGS / "cache_activations/{id}.log",
    priority: 10
    threads: LAYOUT.config.threads
    script:
        "../scripts/cache_activations.py"
