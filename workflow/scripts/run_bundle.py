"""The script of every rule: see `lmodp.pipeline.run_bundle`."""

from lmodp.pipeline.run_bundle import run_bundle

run_bundle(snakemake)
