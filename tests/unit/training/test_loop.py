"""The training run: what it does in what order, its record, and its checkpoints."""

import json
import math
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lmodp.errors import DamagedFile, InvalidValue
from lmodp.mechanisms import Gaussian
from lmodp.training import PoissonSampler, classification_loss, loop, train
from lmodp.training.noise import draw
from lmodp.training.randomness import device_generator, stream_key
from lmodp.training.run_log import mean_clipped_share
from tests.unit.training.small import SEEDS, SIZE, arguments, make_examples, make_model, make_plan

ROOT = Path(__file__).resolve().parents[3]


def weights(model) -> bytes:
    return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()]).numpy().tobytes()


def run(**changes):
    model = make_model(dropout=changes.pop("dropout", 0.0))
    extra = {
        name: changes.pop(name) for name in ("checkpoint_path", "evaluate", "progress", "hooks") if name in changes
    }
    whole = {name: changes.pop(name) for name in ("examples", "loss", "seeds") if name in changes}
    result = train(model, **{**arguments(**changes), **whole}, **extra)
    return weights(model), result


def test_one_step_by_hand():
    """Draw, clip, sum, add noise, divide by the expected batch size, descend."""
    law, plan, examples = Gaussian(std=0.7), make_plan(steps=1), make_examples()
    model = make_model()
    start = torch.cat([value.detach().reshape(-1) for value in model.parameters()])
    drawn = PoissonSampler(plan=plan, key=stream_key(SEEDS["sampling"], randomness="seeded")).draw(0)
    total = torch.zeros_like(start)
    for index in drawn:
        loss = classification_loss(model, examples.batch([index])).sum()
        gradient = torch.cat([value.reshape(-1) for value in torch.autograd.grad(loss, list(model.parameters()))])
        total += gradient * min(1.0, 0.4 / float(gradient.norm()))
    generator = device_generator(stream_key(SEEDS["noise"], randomness="seeded"), "noise", 0)
    noise = torch.cat([draw(law, tuple(value.shape), generator).reshape(-1) for value in model.parameters()])
    expected = start - 0.05 * (total + 0.4 * noise) / (0.2 * SIZE)
    found, _ = run(steps=1, optimizer="sgd")
    torch.testing.assert_close(torch.frombuffer(bytearray(found), dtype=torch.float32), expected, rtol=1e-5, atol=1e-6)


def test_without_noise_and_with_a_large_clip_norm_it_is_the_plain_optimiser():
    clipped, first = run(noise=None, clip_norm=1e30, optimizer="adamw", weight_decay=0.1, schedule="linear")
    plain, second = run(
        noise=None, clip_norm=math.inf, clipping="none", optimizer="adamw", weight_decay=0.1, schedule="linear"
    )
    both = [torch.frombuffer(bytearray(value), dtype=torch.float32) for value in (clipped, plain)]
    torch.testing.assert_close(*both, rtol=1e-5, atol=1e-6)
    assert first.record["batch_sizes"] == second.record["batch_sizes"]
    assert second.record["clip_norm"] is None and second.record["noise_measured"] is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_runs_with_one_seed_give_the_same_bytes(precision):
    first, second = (run(dropout=0.3, precision=precision) for _ in range(2))
    assert first[0] == second[0]
    assert json.dumps(first[1].record) == json.dumps(second[1].record)


@pytest.mark.parametrize("purpose", SEEDS)
def test_every_seed_matters(purpose):
    def with_seed(value):
        model = make_model(dropout=0.3)
        fields = arguments() | {"seeds": {**SEEDS, purpose: value}}
        result = train(model, **fields)
        return weights(model), result

    first, second = with_seed(1), with_seed(2)
    assert first[0] != second[0]
    assert (first[1].record["batch_sizes"] != second[1].record["batch_sizes"]) == (purpose == "sampling")


def test_micro_batches_change_rounding_only():
    both = [torch.frombuffer(bytearray(run(micro_batch_size=size)[0]), dtype=torch.float32) for size in (1, 60)]
    torch.testing.assert_close(*both, rtol=1e-4, atol=1e-5)


def test_the_record_says_what_ran():
    _, result = run(steps=9, sampling_rate=0.1)
    record = result.record
    assert record["steps"] == len(record["batch_sizes"]) == len(record["clipped"]) == 9
    assert record["divisor"] == record["expected_batch_size"] == pytest.approx(6.0)
    assert (record["sampling_rate"], record["clip_norm"], record["noise_scale"]) == (0.1, 0.4, 0.4)
    assert record["noise"] == Gaussian(std=0.7).to_dict()
    assert record["noise_measured"]["draws"] == 9 * record["trainable_parameters"] == 9 * 53
    assert record["noise_measured"]["within_tolerance"] and record["non_finite"] == {}
    assert record["diagnostics"]["private"] is False
    assert all(0 <= few <= size for few, size in zip(record["clipped"], record["batch_sizes"], strict=True))
    assert 0 < mean_clipped_share(record) <= 1
    json.dumps(record, allow_nan=False)
    assert "wall_seconds" in result.timing and not any("second" in key for key in record)


def test_empty_draws_are_steps_with_noise_alone():
    found, result = run(sampling_rate=1e-9, steps=3, optimizer="sgd", learning_rate=1e-9)
    assert result.record["batch_sizes"] == [0, 0, 0] and result.record["clipped"] == [0] * 3
    assert result.record["diagnostics"]["training_loss"] == [None] * 3
    assert found != weights(make_model())


def test_examples_that_are_not_finite_are_counted():
    model, fields = make_model(), arguments(sampling_rate=1.0, steps=2)
    fields["examples"].tensors["x"][7] = math.nan
    record = train(model, **fields).record
    assert record["non_finite"] == {"1": 1, "2": 1}
    assert all(torch.isfinite(value).all() for value in model.parameters())


def test_evaluations_and_progress():
    seen = []

    def evaluate(model):
        assert not model.training and not torch.is_grad_enabled()
        return {"accuracy": 0.5}

    _, result = run(evaluate=evaluate, evaluate_every=3, progress=lambda done, steps: seen.append((done, steps)))
    assert [entry["step"] for entry in result.record["evaluations"]] == [3, 6, 7]
    assert seen == [(done, 7) for done in range(1, 8)]


def test_the_number_of_examples_must_be_the_plans():
    with pytest.raises(InvalidValue, match="dataset_size = 61: must be the number of training examples, 60"):
        run(dataset_size=61)


def test_weights_of_another_layout_train_the_same():
    model = make_model()
    model.first.weight = torch.nn.Parameter(model.first.weight.detach().t().contiguous().t())
    train(model, **arguments())
    assert weights(model) == run()[0]


def test_noise_scale_of_the_plan_is_used():
    _, result = run(noise_scale=2.5)
    assert result.record["noise_scale"] == 2.5
    measured = result.record["noise_measured"]
    assert measured["mean_abs_expected"] == pytest.approx(2.5 * 0.7 * math.sqrt(2 / math.pi))


def interrupted(tmp_path, stop, then=None, between=lambda: None, **changes):
    """Run until ``stop`` steps are done, drop everything, and run again from the checkpoint, with ``then`` changed."""

    class Stop(Exception):
        pass

    def progress(done, steps):
        if done == stop:
            raise Stop

    changes = {"checkpoint_path": tmp_path / "run.ckpt", "checkpoint_every": 2, **changes}
    with pytest.raises(Stop):
        run(progress=progress, **changes)
    between()
    return run(**{**changes, **(then or {})})


@pytest.mark.parametrize("stop", range(1, 7))
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, stop, optimizer):
    options = {"dropout": 0.2, "optimizer": optimizer, "schedule": "linear"}
    found, result = interrupted(tmp_path, stop, **options)
    expected, whole = run(checkpoint_every=2, **options)
    assert found == expected
    assert json.dumps(result.record) == json.dumps(whole.record)
    assert result.timing["steps_run"] == 7 - 2 * (stop // 2)


@pytest.mark.parametrize(("seconds", "repeated"), [(0.0, 2), (3600.0, 7)])
def test_without_a_number_of_steps_checkpoints_come_by_time(tmp_path, monkeypatch, seconds, repeated):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    found, result = interrupted(tmp_path, 5, checkpoint_every=None)
    assert found == run(checkpoint_every=None)[0] and result.timing["steps_run"] == repeated


def test_a_finished_run_leaves_no_key_of_its_noise(tmp_path):
    run(checkpoint_path=tmp_path / "c", checkpoint_every=3)
    assert not list(tmp_path.iterdir())


def changed_data(examples):
    examples.tensors["x"][-1, 0] += 1  # the last row
    return examples


def other_loss(model, batch):
    return 2 * classification_loss(model, batch)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"clip_norm": 0.5}, "plan"),
        ({"learning_rate": 0.06}, "settings"),
        ({"steps": 8}, "plan"),
        ({"noise": Gaussian(std=0.71)}, "plan"),
        ({"examples": changed_data(make_examples())}, "data"),
        ({"loss": other_loss}, "loss"),
        ({"seeds": {**SEEDS, "noise": 14}}, "seeds"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_the_difference_named(tmp_path, change, named):
    with pytest.raises(DamagedFile, match=f"belongs to another run, which differs in: {named}\\."):
        interrupted(tmp_path, 4, then=change)


@pytest.mark.parametrize("part", ["frozen", "buffer"])
def test_a_checkpoint_knows_what_is_not_trained(tmp_path, part):
    """Frozen weights and buffers, the last of them included, decide the result as much as the trained ones."""
    model, path = make_model(), tmp_path / "c"
    model.register_buffer("shift", torch.zeros(3))
    model.first.requires_grad_(False)

    def stop(done, steps):
        raise KeyboardInterrupt

    def start():
        train(model, **arguments(checkpoint_every=1), checkpoint_path=path, progress=stop)

    initial = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        start()
    model.load_state_dict(initial)
    with torch.no_grad():
        (model.first.weight if part == "frozen" else model.shift).reshape(-1)[-1] += 1
    with pytest.raises(DamagedFile, match="differs in: frozen weights"):
        start()


def test_another_number_of_threads_is_named(tmp_path):
    threads = torch.get_num_threads()
    try:
        with pytest.raises(DamagedFile, match="differs in: number of threads"):
            interrupted(tmp_path, 4, between=lambda: torch.set_num_threads(threads + 1))
    finally:
        torch.set_num_threads(threads)


def test_a_checkpoint_of_other_code_is_refused(tmp_path, monkeypatch):
    """A run that two versions made would be recorded as that of the second one."""
    change = partial(monkeypatch.setattr, loop, "code_fingerprint", lambda module: "other")
    with pytest.raises(DamagedFile, match="differs in: code"):
        interrupted(tmp_path, 4, between=change)


def test_system_entropy_differs_between_runs_and_survives_a_checkpoint(tmp_path):
    assert run(randomness="entropy")[0] != run(randomness="entropy")[0]
    _, result = interrupted(tmp_path, 4, randomness="entropy")
    assert result.timing["steps_run"] == 3 and result.record["steps"] == 7


KILLED = """
import os, signal, sys
from tests.unit.training.test_loop import run
def progress(done, steps):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
run(checkpoint_path=sys.argv[1], checkpoint_every=1, progress=progress, dropout=0.2)
"""


def test_killed_and_restarted(tmp_path):
    """SIGKILL in a process of its own, then to the end in another: the same bytes."""
    path = str(tmp_path / "run.ckpt")
    done = subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    weights_found, result = run(checkpoint_path=path, checkpoint_every=1, dropout=0.2)
    weights_whole, whole = run(checkpoint_every=1, dropout=0.2)
    assert result.timing["steps_run"] == 4
    assert weights_found == weights_whole and json.dumps(result.record) == json.dumps(whole.record)


def test_hooks_see_the_sum_before_and_after_noise():
    class Watch:
        def __init__(self):
            self.before, self.after = [], []

        def before_noise(self, step, parameters):
            self.before.append(torch.cat([value.grad.reshape(-1) for value in parameters]))

        def after_noise(self, step, parameters, scale):
            self.after.append(torch.cat([value.grad.reshape(-1) for value in parameters]))

    watch = Watch()
    run(hooks=(watch,), steps=2)
    noise = torch.stack(watch.after) - torch.stack(watch.before)
    generator = device_generator(stream_key(SEEDS["noise"], randomness="seeded"), "noise", 1)
    expected = torch.cat(
        [draw(Gaussian(std=0.7), shape, generator).reshape(-1) for shape in ((5, 6), (5,), (3, 5), (3,))]
    )
    torch.testing.assert_close(noise[1], 0.4 * expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(noise[0], noise[1])
