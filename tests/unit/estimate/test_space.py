"""Memory and disk of tasks, by hand."""

from dataclasses import replace

import pytest

from lmodp.estimate.shapes import shape_of
from lmodp.estimate.space import CUDA_PROCESS, PROCESS, cell_memory, disk_of, memory_of, training_memory
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.models.cards import MODELS
from tests.unit.commands.test_plan import SMALL


def small(**changes):
    return Grid(check_config({**SMALL, **changes}))


def test_the_memory_of_a_step():
    spec = small().active[0].spec
    spec = replace(spec, max_length=10, training=replace(spec.training, micro_batch_size=3))
    shape = shape_of(MODELS["tiny_roberta"])
    count, stored = shape.parameters, 2 * 3 * 10 * (34 * 16 + 5 * 2 * 10)
    assert training_memory(spec, shape, cached=False) == 20 * count + 4 * stored
    head, trained = replace(spec, trainable="head"), 16 * 16
    assert training_memory(head, shape, cached=True) == 20 * trained + 8 * (count - trained)
    half = replace(spec, trainable={"lora": {"rank": 2}}, training=replace(spec.training, precision="bfloat16"))
    adapters = 2 * 2 * (2 * 16 * 2)  # in two layers on query and value, each of 16 by 2 and 2 by 16
    assert training_memory(half, shape, cached=False) == 20 * adapters + 2 * (count - adapters) + 2 * stored
    sentences = replace(spec, dataset="e2e")
    assert training_memory(sentences, shape, cached=False) - training_memory(spec, shape, cached=False) == 8 * 30 * 300


def test_a_gpu_holds_the_step_and_the_node_the_rest():
    whole, gpu = cell_memory(small().active[0], small())
    assert gpu is None and whole > 20 * 355e6 + PROCESS
    host, gpu = cell_memory(small(device="cuda").active[0], small(device="cuda"))
    assert gpu == whole - PROCESS and CUDA_PROCESS < host < whole


def test_disk_is_what_stays():
    grid = small()
    full, head = (next(cell for cell in grid.active if cell.spec.experiment == name) for name in ("sst2", "head"))
    assert disk_of("finetune_model", full.id, grid) == 4 * shape_of(MODELS["roberta_large"]).parameters
    assert disk_of("finetune_model", head.id, grid) == 3 * 4 * 1024**2
    (activations,), (model, *_) = grid.activations, grid.models
    assert disk_of("cache_activations", activations, grid) == 4 * 67349 * 1024
    assert disk_of("prepare_model", model, grid) == pytest.approx(1.42e9, rel=0.01)
    assert memory_of("prepare_model", model, grid)[0] > 2 * disk_of("prepare_model", model, grid)
    assert disk_of("report", "", grid) == 0
