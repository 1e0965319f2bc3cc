"""Opacus behind the seam: the same clipped sums as the suite's own engine, on every architecture."""

import copy

import numpy as np
import pytest
import torch

from lmodp.engines.foreign import train_foreign
from lmodp.engines.opacus import OpacusEngine, OpacusRun
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Laplace, Releases, Schedule
from lmodp.plan import Plan
from lmodp.training import ClippingEngine, TrainingSettings
from tests.unit.engines.models import tiny

SETTINGS = TrainingSettings(learning_rate=1e-2, micro_batch_size=7, optimizer="sgd")
SEEDS = {"sampling": 1, "dropout": 2, "noise": 3}
CELLS = [
    *(
        (name, False, part)
        for name in ("roberta", "bert", "gpt2")
        for part in ("full", {"last_layers": 1}, "bitfit", {"lora": {}})
    ),
    *((name, False, "head") for name in ("roberta", "bert", "gpt2", "llama")),
    *((name, True, part) for name in ("gpt2", "llama") for part in ("full", {"last_layers": 1}, {"lora": {}})),
]


def plan(**fields):
    given = {"clip_norm": 0.05, "noise": Gaussian(std=1e-7), "steps": 3, "delta": 1e-5, **fields}
    return Plan.for_batches(expected_batch_size=20, dataset_size=40, **given)


@pytest.mark.parametrize(("architecture", "language_model", "part"), CELLS, ids=str)
def test_its_clipped_sum_is_the_suites(architecture, language_model, part):
    """Micro-batches, tied embeddings, shared position tables and BERT's pooler, which runs twice, included."""
    model, examples, loss = tiny(architecture, language_model=language_model, part=part)
    own = ClippingEngine(copy.deepcopy(model), clip_norm=0.05, clipping="flat")
    drawn = examples.arrange(np.arange(20))
    own.zero_grad()
    for start in range(0, 20, 7):
        piece = drawn[start : start + 7]
        own.accumulate(loss, examples.batch(piece), len(piece))
    own.fill_missing()
    expected = torch.cat([value.grad.flatten() for value in own.parameters])
    with OpacusRun(model, plan=plan(), examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS) as run:
        report = run.accumulate(np.arange(20))
        found = run.release()
    assert report.batch_size == 20
    assert (
        found - expected
    ).norm() < 2e-4 * expected.norm()  # Opacus divides by norm + 1e-6: 1e-6/0.05 at most, a few roundings


def test_its_record_is_read_back_from_opacus_and_its_noise_is_tested():
    model, examples, loss = tiny("roberta", language_model=False, part="head")
    asked = plan(noise=Gaussian(std=2.0))
    record = train_foreign(
        OpacusEngine(), model, plan=asked, examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS
    ).record
    assert (record["sampling_rate"], record["divisor"], record["steps"]) == (0.5, 20.0, 3)
    assert record["noise"] == {"family": "gaussian", "std": 2.0} and record["noise_scale"] == 0.05
    assert len(record["batch_sizes"]) == 3 and len(set(record["batch_sizes"])) > 1
    law = record["released_law"]
    assert law["draws"] >= 20_000 and law["distance"] <= law["distance_tolerance"]
    assert record["noise_measured"]["within_tolerance"]
    assert not any(hasattr(value, "grad_sample") for value in model.parameters())


def test_a_step_without_examples_is_a_step():
    model, examples, loss = tiny("roberta", language_model=False, part="head")
    asked = plan(noise=Gaussian(std=1.0))
    with OpacusRun(model, plan=asked, examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS) as run:
        before = [value.detach().clone() for value in run.optimizer.params]
        assert run.advance(np.arange(0)).batch_size == 0
        assert all(not old.equal(new) for old, new in zip(before, run.optimizer.params, strict=True))


ONE_SUM = "Opacus releases one noisy sum a step, all alike; asked: steps change by a schedule"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"noise": Laplace(scale=1.0)}, "Gaussian noise under flat clipping only"),
        ({"clipping": "automatic"}, "Gaussian noise under flat clipping only"),
        ({"releases": Releases(schedule=Schedule(noise=((0, 5.0),)))}, ONE_SUM),
        ({"releases": Releases(schedule=Schedule(learning_rate=((0, 5.0),)))}, ONE_SUM),
    ],
)
def test_what_opacus_does_not_do_is_told(fields, told):
    model, examples, loss = tiny("roberta", language_model=False, part="head")
    with pytest.raises(Unsupported, match=told):
        OpacusEngine().train(model, plan=plan(**fields), examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS)
