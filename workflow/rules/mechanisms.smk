"""Mechanisms: searched, calibrated and certified before any training."""


rule search_noise:
    input:
        unpack(tracked(RESULTS / "search/{id}/search.json")),
    output:
        record=update(RESULTS / "search/{id}/search.json"),
    script:
        "../scripts/search_noise.py"


rule calibrate_noise:
    input:
        unpack(
            tracked(
                RESULTS / "mechanisms/{id}/noise.json",
                search=LAYOUT.search_of_mechanism,
                model=LAYOUT.model_of_mechanism("model.json"),
                model_stamp=LAYOUT.model_of_mechanism(None),
            )
        ),
    output:
        record=update(RESULTS / "mechanisms/{id}/noise.json"),
    script:
        "../scripts/calibrate_noise.py"


rule certify_mechanism:
    input:
        unpack(
            tracked(
                RESULTS / "mechanisms/{id}/certificate.json",
                noise=RESULTS / "mechanisms/{id}/noise.json",
            )
        ),
    output:
        record=update(RESULTS / "mechanisms/{id}/certificate.json"),
    script:
        "../scripts/certify_mechanism.py"
