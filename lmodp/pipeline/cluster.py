"""What a job asks a cluster for, and which jobs no node can do: both from the estimate of its bundle."""

import math
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lmodp.errors import Fault, InvalidValue
from lmodp.estimate.seconds import slowness
from lmodp.estimate.space import disk_of
from lmodp.grid.sections import Config
from lmodp.pipeline.bundles import Bundle, Bundles

GIB = 2**30
SPARE_MEMORY = 1.5  # the estimate holds within this factor
SPARE_TIME = 3.0  # machines differ by 2.5
SNAKEMAKE = (300, 2)  # MB and minutes of Snakemake's own process within a job
PROFILE = "Write it into profiles/slurm/config.yaml, under default-resources."


def resources(bundle: Bundle, config: Config, attempt: int = 1) -> dict[str, int]:
    """Return ``mem_mb``, ``runtime`` in minutes and ``gpu``: the estimate with room to spare, at most what a node has.

    Every further attempt asks for twice as much.
    """
    machine, grown = config.machine, 2 ** (attempt - 1)
    ranks = config.processes if bundle.rule == "finetune_model" else 1
    memory = (SPARE_MEMORY * bundle.memory * ranks / 1e6 + SNAKEMAKE[0]) * grown
    minutes = (SPARE_TIME * bundle.seconds * slowness(config) / 60 + SNAKEMAKE[1]) * grown
    return {
        "mem_mb": math.ceil(min(memory, (machine.memory_gib or math.inf) * GIB / 1e6)),
        "runtime": math.ceil(min(minutes, 60 * (machine.hours or math.inf))),
        "gpu": ranks if bundle.gpu_memory is not None else 0,
    }


def disk_bytes(bundles: Bundles) -> int:
    """Return what the whole cache of a grid takes."""
    return sum(disk_of(task.job, task.thing, bundles.layout.grid) for task in bundles.tasks)


def too_large(bundles: Bundles, names: Iterable[str] | None = None) -> Iterator[Fault]:
    """Yield what no node can do of the bundles that are to run (all by default), with the number that is needed."""
    config = bundles.layout.config
    asked = [bundles.all[name] for name in (bundles.all if names is None else names)]
    smaller = "Lower training.micro_batch_size, or use larger ones."
    kinds = [
        ("memory_gib", "GiB", lambda one: one.memory / GIB, smaller),
        ("gpu_memory_gib", "GiB on a GPU", lambda one: (one.gpu_memory or 0) / GIB, smaller),
        ("hours", "hours", lambda one: one.seconds * slowness(config) / 3600, "Allow more, or use faster ones."),
    ]
    for name, unit, need, remedy in kinds:
        most = getattr(config.machine, name)
        over = [one for one in asked if most is not None and need(one) > most]
        if over:
            worst = max(over, key=need)
            rule = (
                f"{len(over)} of {len(asked)} jobs need more, {worst.name} ({worst.tasks[-1]}) {need(worst):.3g} {unit}"
            )
            yield Fault(f"machine.{name}", most, rule, remedy)
    most, needed = config.machine.disk_gib, disk_bytes(bundles) / GIB
    if most is not None and needed > most:
        yield Fault("machine.disk_gib", most, f"the cache takes {needed:.3g} GiB", "Split the grid, or use more disk.")


def refuse(faults: Iterable[Fault]) -> None:
    """Raise `InvalidValue` with all faults, if there is one."""
    if found := [str(fault) for fault in faults]:
        raise InvalidValue("\n".join(found))


def unfit_for_slurm(jobs: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield why SLURM would refuse jobs of these resources, or leave them waiting for ever."""
    asked = list(jobs)
    partition = next((job.get("slurm_partition") for job in asked), None)
    if not partition:
        yield Fault("slurm_partition", partition, "the profile names no partition", f"`sinfo` lists them. {PROFILE}")
        return
    command = ["sinfo", "--noheader", "--partition", str(partition), "--format", "%m|%c|%l|%G"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    nodes = [line.split("|") for line in lines]
    if not nodes:
        yield Fault("slurm_partition", partition, "SLURM has no node in such a partition", "`sinfo` lists them.")
        return
    have = {
        "mem_mb": max(float(node[0].rstrip("+")) for node in nodes) * GIB / 1024 / 1e6,
        "runtime": max(_minutes(node[2]) for node in nodes),
        "threads": max(float(node[1].rstrip("+")) for node in nodes),
        "gpu": math.inf if any("gpu" in node[3] for node in nodes) else 0,
    }
    for name, most in have.items():
        needed = max((job.get(name) or 0 for job in asked), default=0)
        if needed > most:
            rule = f"a job asks for {needed}, and the nodes of partition {partition} offer {most:.0f}"
            yield Fault(name, needed, rule, "Use another partition, or make the jobs smaller (`lmodp plan`).")


def _minutes(limit: str) -> float:
    """Return the minutes of a limit as SLURM writes it: ``infinite`` or ``[days-][hours:]minutes:seconds``."""
    if not limit[0].isdigit():
        return math.inf
    days, _, rest = limit.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    return float(days or 0) * 24 * 60 + seconds / 60
