"""From records to the one table of results, and from it to tables, figures and the report."""


rule collect_results:
    input:
        unpack(inputs_of("collect_results")),
    output:
        **outputs_of("collect_results"),
    log:
        LOGS / "collect_results.log",
    script:
        "../scripts/collect_results.py"


rule make_table:
    input:
        unpack(inputs_of("make_table")),
    output:
        **outputs_of("make_table"),
    log:
        LOGS / "make_table.log",
    script:
        "../scripts/make_table.py"


rule compare_published:
    input:
        unpack(inputs_of("compare_published")),
    output:
        **outputs_of("compare_published"),
    log:
        LOGS / "compare_published.log",
    script:
        "../scripts/compare_published.py"


rule measure_cost:
    input:
        unpack(inputs_of("measure_cost")),
    output:
        **outputs_of("measure_cost"),
    log:
        LOGS / "measure_cost.log",
    script:
        "../scripts/measure_cost.py"


rule map_wins:
    input:
        unpack(inputs_of("map_wins")),
    output:
        **outputs_of("map_wins"),
    log:
        LOGS / "map_wins.log",
    script:
        "../scripts/map_wins.py"


rule map_space:
    input:
        unpack(inputs_of("map_space")),
    output:
        **outputs_of("map_space"),
    log:
        LOGS / "map_space.log",
    script:
        "../scripts/map_space.py"


rule make_figure:
    input:
        unpack(inputs_of("make_figure")),
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
    log:
        LOGS / "make_figure/{id}.log",
    wildcard_constraints:
        id="|".join(NEEDS.figures),
    script:
        "../scripts/make_figure.py"


rule report:
    input:
        unpack(inputs_of("report")),
    output:
        **outputs_of("report"),
    log:
        LOGS / "report.log",
    script:
        "../scripts/report.py"
