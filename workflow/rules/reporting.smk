"""From records to the one table of results, and from it to tables, figures and the report."""


rule collect_results:
    input:
        unpack(
            tracked(
                RESULTS / "tables/results.json",
                verify=lambda wildcards: LAYOUT.cell_records("verify.json"),
                evaluate=lambda wildcards: LAYOUT.cell_records("evaluate.json"),
                certificates=lambda wildcards: LAYOUT.certificates(),
            )
        ),
    output:
        record=update(RESULTS / "tables/results.json"),
        runs=update(RESULTS / "tables/runs.parquet"),
    script:
        "../scripts/collect_results.py"


rule make_table:
    input:
        unpack(tracked(RESULTS / "tables/table.json", results=RESULTS / "tables/results.json")),
    output:
        record=update(RESULTS / "tables/table.json"),
        csv=update(RESULTS / "tables/comparison.csv"),
        markdown=update(RESULTS / "tables/comparison.md"),
    script:
        "../scripts/make_table.py"


rule make_figure:
    input:
        unpack(tracked(RESULTS / "figures/figure.json", results=RESULTS / "tables/results.json")),
    output:
        record=update(RESULTS / "figures/figure.json"),
        svg=update(report(RESULTS / "figures/comparison.svg", category="comparison", caption="../report/comparison.rst")),
        pdf=update(RESULTS / "figures/comparison.pdf"),
    script:
        "../scripts/make_figure.py"


rule report:
    input:
        unpack(
            tracked(
                RESULTS / "report.json",
                results=RESULTS / "tables/results.json",
                table=RESULTS / "tables/table.json",
                figure=RESULTS / "figures/figure.json",
            )
        ),
    output:
        record=update(RESULTS / "report.json"),
        html=update(RESULTS / "report.html"),
    script:
        "../scripts/report.py"
