"""The grid, the places of its files, and its bundles: all rules use this file."""

import sys
import time
from pathlib import Path

import yaml
from snakemake.utils import update_config

sys.path.insert(0, str(Path(workflow.basedir).resolve()))

from lmodp.errors import LmodpError
from lmodp.grid.config import read_yaml
from lmodp.pipeline.bundles import Bundles
from lmodp.pipeline.cluster import refuse, resources, too_large, unfit_for_slurm
from lmodp.pipeline.console import Console, closing_lines, near, speak_plainly, typed
from lmodp.pipeline.layout import Layout
from lmodp.pipeline.run_bundle import failures


def as_in_a_file(value):
    """Return a value of `--config` as the same words in a file would read.

    Snakemake takes `true` and nested numbers for text.
    """
    if isinstance(value, dict):
        return {key: as_in_a_file(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_in_a_file(item) for item in value]
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value


def told(work, *arguments):
    """Do something; what a user can mend becomes one message of Snakemake's."""
    try:
        return work(*arguments)
    except LmodpError as error:
        raise WorkflowError(str(error)) from None


for _file in workflow.overwrite_configfiles:
    told(read_yaml, _file, "configfile", "")  # Snakemake says nothing of a key that is written twice
update_config(config, as_in_a_file(dict(workflow.config_settings.config)))
LAYOUT = told(Layout.from_values, config)

NEEDS = LAYOUT.needs
RESULTS = LAYOUT.results
_threads = LAYOUT.config.threads
THREADS = {"prepare_model": _threads, "finetune_model": _threads * LAYOUT.config.processes}
CACHE = LAYOUT.cache
LOGS = CACHE / "logs" / LAYOUT.config.grid
DONE = CACHE / "bundles" / LAYOUT.config.grid
BUNDLES = Bundles(LAYOUT)

speak_plainly()
CONSOLE = []  # of a run in progress
WHOLE_GRID = " ".join([typed("snakemake"), *(f"--configfile {near(file)}" for file in workflow.overwrite_configfiles)])

# Every bundle that is asked for has this file, newer than everything, as an input, and so it runs.
NOW = CACHE / "now"
try:
    NOW.parent.mkdir(parents=True, exist_ok=True)
    if workflow.is_main_process:  # a job on a cluster reads the workflow too
        NOW.write_text(str(time.time_ns()))
    Path(".snakemake").mkdir(exist_ok=True)  # Snakemake's own
except OSError as error:
    text = f"folder = {str(Path(error.filename).absolute())!r}: cannot be written ({error.strerror}). "
    raise WorkflowError(f"{text}Run in a folder that can be: snakemake --directory FOLDER") from None


if workflow.is_main_process:
    told(refuse, too_large(BUNDLES, BUNDLES.making()))


def asks_for(bundle, attempt=1):
    """What a job asks a cluster for; elsewhere only `gpu` may limit anything: `snakemake --resources gpu=2`."""
    return resources(BUNDLES.all[bundle], LAYOUT.config, attempt)


def check_cluster():
    """Ask SLURM, before anything is submitted, whether it can do the jobs."""
    if workflow.executor_plugin.name == "slurm":
        jobs = [
            {**dict(job.resources.items()), "threads": job.threads}
            for job in workflow.dag.needrun_jobs()
            if not job.is_norun
        ]
        told(refuse, unfit_for_slurm(jobs))


def files_of(bundles):
    """The files of bundles that must run; where none must, one that is there, so that there is nothing to do."""
    return [DONE / f"{name}.json" for name in bundles] or [NOW]


def waits_for(wildcards):
    """The bundles before this one that must run, and a file that is always new."""
    return [NOW, *files_of(BUNDLES.before(wildcards.bundle))]


def tell_failures():
    """A bundle goes on after a task that fails, and so does the workflow; at its end that counts as a failure."""
    ran = [path for path in sorted(DONE.glob("*.json")) if path.stat().st_mtime > NOW.stat().st_mtime]
    if failed := failures(ran):
        lines = [f"{task}: {why}" for task, why in failed.items()]
        raise WorkflowError("\n".join([f"{len(lines)} tasks have no record:", *lines]))
