"""What jobs ask a cluster for, and what is refused before anything runs."""

import math
import os

import pytest

from lmodp.errors import InvalidValue
from lmodp.pipeline.bundles import Bundles
from lmodp.pipeline.cluster import refuse, resources, too_large, unfit_for_slurm
from tests.unit.pipeline.test_bundles import layout_of


def bundles_of(folder, **changes):
    return Bundles(layout_of("smoke", folder, **changes))


def test_a_job_asks_for_its_estimate_with_room_and_for_more_after_a_kill(tmp_path):
    bundles = bundles_of(tmp_path)
    for bundle in bundles.all.values():
        first, second = (resources(bundle, bundles.layout.config, attempt) for attempt in (1, 2))
        assert first["mem_mb"] * 1e6 > 1.4 * bundle.memory and first["runtime"] * 60 > 3 * bundle.seconds
        assert second["mem_mb"] >= 2 * first["mem_mb"] - 1 and second["runtime"] >= 2 * first["runtime"] - 1
        assert first["gpu"] == 0
    sizes = {resources(bundle, bundles.layout.config)["mem_mb"] for bundle in bundles.all.values()}
    assert len(sizes) > 1, "not one size for all"


def test_growth_ends_where_the_node_does(tmp_path):
    bundles = bundles_of(tmp_path, machine={"memory_gib": 4, "hours": 0.1})
    asked = [resources(bundle, bundles.layout.config, 9) for bundle in bundles.all.values()]
    assert {one["mem_mb"] for one in asked} == {math.ceil(4 * 2**30 / 1e6)} and {one["runtime"] for one in asked} == {6}


def test_only_what_trains_asks_for_a_gpu_and_slower_machines_get_more_time(tmp_path):
    bundles = bundles_of(tmp_path, device="cuda")
    asked = {name: resources(item, bundles.layout.config)["gpu"] for name, item in bundles.all.items()}
    assert {name.rpartition("-")[0] for name, gpu in asked.items() if gpu} == {"finetune_model"}
    slow = bundles_of(tmp_path, machine={"rate": 8e9})
    bundle = slow.all["finetune_model-00"]
    assert resources(bundle, slow.layout.config)["runtime"] * 60 > 30 * bundle.seconds


def test_what_no_node_can_do_is_refused_with_the_number(tmp_path):
    assert list(too_large(bundles_of(tmp_path))) == []
    machine = {"memory_gib": 0.1, "gpu_memory_gib": 1e-6, "hours": 1e-4, "disk_gib": 1e-9}
    bundles = bundles_of(tmp_path, machine=machine, device="cuda")
    told = [str(fault) for fault in too_large(bundles)]
    assert [text.split(" =")[0] for text in told] == [f"machine.{name}" for name in machine]
    most = max(bundle.memory for bundle in bundles.all.values()) / 2**30
    assert f"{len(bundles.all)} of {len(bundles.all)} jobs need more" in told[0] and f"{most:.3g} GiB" in told[0]
    assert list(too_large(bundles, [])) == list(too_large(bundles))[3:], "nothing runs; the disk is the whole grid's"
    with pytest.raises(InvalidValue, match="machine.hours = 0.0001"):
        refuse(too_large(bundles))


def sinfo(folder, monkeypatch, *lines):
    program = folder / "sinfo"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


JOB = {"slurm_partition": "main", "mem_mb": 2000, "runtime": 90, "threads": 2, "gpu": 0}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"slurm_partition": ""}, "the profile names no partition. `sinfo` lists them. Write it into profiles/slurm"),
        ({"mem_mb": 9000}, "mem_mb = 9000: a job asks for 9000, and the nodes of partition main offer 8590"),
        ({"runtime": 1501}, "runtime = 1501: a job asks for 1501, and the nodes of partition main offer 1500"),
        ({"threads": 5}, "threads = 5"),
        ({"gpu": 1}, "gpu = 1: a job asks for 1, and the nodes of partition main offer 0"),
        ({}, None),
    ],
)
def test_slurm_is_asked_before_anything_is_submitted(tmp_path, monkeypatch, change, told):
    sinfo(tmp_path, monkeypatch, "4096|2|30:00|(null)", "8192+|4|1-01:00:00|(null)")
    found = list(map(str, unfit_for_slurm([JOB, {**JOB, **change}][::-1])))
    assert (len(found) == 1 and told in found[0]) if told else found == []


def test_a_partition_that_is_not_there_and_limits_without_an_end(tmp_path, monkeypatch):
    sinfo(tmp_path, monkeypatch)
    assert "no node in such a partition" in str(next(unfit_for_slurm([JOB])))
    sinfo(tmp_path, monkeypatch, "8192|4|infinite|gpu:2")
    assert list(unfit_for_slurm([{**JOB, "runtime": 10**6, "gpu": 1}])) == []
