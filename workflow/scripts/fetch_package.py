"""Fetch one package of data.lock."""

from lmodp.data.fetch import fetch_package
from lmodp.data.lockfile import locked_packages
from lmodp.pipeline.layout import Job

job = Job(snakemake)  # noqa: F821
cache = job.layout.cache
name = next(name for name, item in locked_packages().items() if item.folder(cache).name == snakemake.wildcards.package)  # noqa: F821
fetch_package(name, cache)
