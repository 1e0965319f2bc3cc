"""From records to the one table of results, and from it to tables, figures and the report."""

from lmodp.records.record import read_record, sha256_file
from lmodp.reporting.figures.catalogue import figure_names, figure_sources

FIGURES = figure_names(LAYOUT)
FORMS = ["csv", "md", "tex"]
PUBLISHED = Path(workflow.basedir) / "config" / "published.tsv"


def published_inputs(wildcards):
    """The published numbers lie outside the results, so their hash is compared here."""
    record = RESULTS / "tables/published.json"
    found = tracked(record, results=RESULTS / "tables/results.json", published=PUBLISHED)(wildcards)
    known = read_record(record)["inputs"].get("elsewhere/published.tsv") if "now" not in found else None
    return found if known == sha256_file(PUBLISHED) else {**found, "now": NOW}


rule collect_results:
    input:
        unpack(
            tracked(
                RESULTS / "tables/results.json",
                verify=lambda wildcards: LAYOUT.cell_records("verify.json"),
                evaluate=lambda wildcards: LAYOUT.cell_records("evaluate.json"),
                certificates=lambda wildcards: LAYOUT.certificates(),
                audits=lambda wildcards: LAYOUT.mechanism_audits(),
            )
        ),
    output:
        record=update(RESULTS / "tables/results.json"),
        runs=update(RESULTS / "tables/runs.parquet"),
        curves=update(RESULTS / "tables/curves.parquet"),
    script:
        "../scripts/collect_results.py"


rule make_table:
    input:
        unpack(tracked(RESULTS / "tables/table.json", results=RESULTS / "tables/results.json")),
    output:
        record=update(RESULTS / "tables/table.json"),
        tables=update(
            expand(str(RESULTS / "tables/{name}.{form}"), name=["comparison", "privacy", "status"], form=FORMS)
        ),
    script:
        "../scripts/make_table.py"


rule compare_published:
    input:
        unpack(published_inputs),
    output:
        record=update(RESULTS / "tables/published.json"),
        tables=update(expand(str(RESULTS / "tables/published.{form}"), form=FORMS)),
    script:
        "../scripts/compare_published.py"


rule measure_cost:
    input:
        unpack(tracked(RESULTS / "tables/cost.json", results=RESULTS / "tables/results.json")),
    output:
        record=update(RESULTS / "tables/cost.json"),
        tables=update(expand(str(RESULTS / "tables/cost.{form}"), form=FORMS)),
    script:
        "../scripts/measure_cost.py"


rule map_wins:
    input:
        unpack(tracked(RESULTS / "figures/map_of_wins.json")),
    output:
        record=update(RESULTS / "figures/map_of_wins.json"),
    script:
        "../scripts/map_wins.py"


rule map_space:
    input:
        unpack(tracked(RESULTS / "figures/landscape.json")),
    output:
        record=update(RESULTS / "figures/landscape.json"),
        points=update(RESULTS / "figures/landscape.parquet"),
    script:
        "../scripts/map_space.py"


rule make_figure:
    input:
        unpack(
            tracked(
                RESULTS / "figures/{id}.json",
                results=RESULTS / "tables/results.json",
                searches=lambda wildcards: figure_sources(LAYOUT, wildcards.id).get("searches", []),
                wins=lambda wildcards: figure_sources(LAYOUT, wildcards.id).get("wins", []),
                landscape=lambda wildcards: figure_sources(LAYOUT, wildcards.id).get("landscape", []),
            )
        ),
    output:
        record=update(RESULTS / "figures/{id}.json"),
        svg=update(
            report(
                RESULTS / "figures/{id}.svg",
                category="figures",
                caption="../report/figure.rst",
                labels={"figure": "{id}"},
            )
        ),
        pdf=update(RESULTS / "figures/{id}.pdf"),
    wildcard_constraints:
        id="|".join(FIGURES),
    script:
        "../scripts/make_figure.py"


rule report:
    input:
        unpack(
            tracked(
                RESULTS / "report.json",
                results=RESULTS / "tables/results.json",
                table=RESULTS / "tables/table.json",
                published=RESULTS / "tables/published.json",
                cost=RESULTS / "tables/cost.json",
                figures=lambda wildcards: [str(RESULTS / f"figures/{name}.json") for name in FIGURES],
            )
        ),
    output:
        record=update(RESULTS / "report.json"),
        html=update(RESULTS / "report.html"),
    script:
        "../scripts/report.py"
