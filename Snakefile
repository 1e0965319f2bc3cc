"""The suite's workflow. This file is its table of contents; nothing is computed here."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

# A fixed `configfile:` would be merged with the one given, and quick's experiments would stay in another grid.
if not workflow.overwrite_configfiles:

    configfile: str(Path(workflow.basedir) / "config/quick.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/bundles.smk"


for _name in LAYOUT.config.experiments:

    # A grid in pieces: `snakemake only_head` makes what one experiment needs, without audits of mechanisms, tables
    # and report.
    rule:
        name:
            f"only_{_name}"
        input:
            files_of(BUNDLES.making(NEEDS.of_experiment(_name))),


rule all:
    default_target: True
    input:
        files_of(BUNDLES.making()),


onstart:
    check_cluster()
    CONSOLE.append(Console(logger, total=len(workflow.dag)))


onsuccess:
    CONSOLE.pop().close()
    tell_failures()
    print("\n".join(closing_lines(RESULTS, WHOLE_GRID)), flush=True)


onerror:
    CONSOLE.pop().close() if CONSOLE else None
    print(f"Some jobs failed; the messages above name their log files. To go on after mending: {WHOLE_GRID}")
