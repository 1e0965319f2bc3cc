"""One rule per group of stages; a job of it does a bundle of tasks in one process (`lmodp.pipeline.bundles`).

The records decide what runs, not file times: only bundles with waiting tasks are asked for, and these always run.
So a bundle's file is newer than nothing. Each task writes its records as it ends.
"""

for _rule, _names in BUNDLES.by_rule.items():

    rule:
        name:
            _rule
        input:
            waits_for,
        output:
            DONE / "{bundle}.json",
        log:
            LOGS / "{bundle}.log",
        wildcard_constraints:
            bundle="|".join(_names) or "(?!)",
        priority: lambda wildcards: BUNDLES.way[wildcards.bundle]
        threads: THREADS.get(_rule, 1)
        resources:
            mem_mb=lambda wildcards, attempt: asks_for(wildcards.bundle, attempt)["mem_mb"],
            runtime=lambda wildcards, attempt: asks_for(wildcards.bundle, attempt)["runtime"],
            gpu=lambda wildcards: asks_for(wildcards.bundle)["gpu"],
        params:
            tasks=lambda wildcards: list(map(str, BUNDLES.waiting(wildcards.bundle))),
            told=lambda wildcards: "\n".join(f"    {task}" for task in BUNDLES.waiting(wildcards.bundle)),
        message:
            "{wildcards.bundle}:\n{params.told}"
        script:
            "../scripts/run_bundle.py"


rule make_file:
    """A record or table, asked for by its path: its whole bundle is made."""
    input:
        lambda wildcards: files_of(BUNDLES.making([RESULTS / wildcards.file])),
    output:
        update(RESULTS / "{file}"),
    wildcard_constraints:
        file=".+",
