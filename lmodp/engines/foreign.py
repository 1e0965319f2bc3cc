"""Training with another engine: the same plan, its answers checked, its noise tested.

An engine's own statement about its noise is not evidence. So the suite requests the sums that the engine releases when
all gradients are zero, and compares their law with the plan's.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.errors import FOREIGN_ERRORS, LmodpError, Unsupported, describe_error, require_finite
from lmodp.mechanisms import DEFAULT, Releases
from lmodp.methods.engine import NO_RELEASE, Engine
from lmodp.plan import Plan
from lmodp.training import Examples, TrainingResult, TrainingSettings
from lmodp.training.clipping.engine import require_wide
from lmodp.training.clipping.guard import mixing_layers
from lmodp.training.losses import Loss
from lmodp.training.noise import CHUNK, NoiseMeter
from lmodp.training.run_log import snapshot, unmoved

if TYPE_CHECKING:
    from lmodp.methods.contract import Method

PROBE_DRAWS = 20_000
MOST_PROBES = 400
FALSE_ALARM = 1e-9
QUIET = 1e-6
MOST_EMPTY = 5
_FIRST_STEP = (
    "another engine's noise is tested by the sum that its first step releases, which speaks for one noisy sum a step, "
    "all of one noise and clip norm"
)


class EngineFailed(LmodpError):
    """Another engine raised an exception or returned an invalid answer."""


def train_foreign(
    engine: Engine,
    model: nn.Module,
    *,
    plan: Plan,
    examples: Examples,
    loss: Loss,
    settings: TrainingSettings,
    seeds: Mapping[str, int],
    **unused: Any,
) -> TrainingResult:
    """Train with another engine, which writes no checkpoints, and test the noise that it adds.

    Returns:
        The engine's record with ``noise_measured`` and ``released_law``, which the suite measured. The noise is judged
        by sums that the engine released, not by what it reports: of steps that are probed until `PROBE_DRAWS` numbers
        or `MOST_PROBES` steps are reached. ``fault`` says if the weights did not move.

    Raises:
        EngineFailed: the engine raised, left out a field of the record, or moves the weights as far without data as
            with them.
        InvalidValue: a weight is not finite.
        Unsupported: the engine cannot train this model, a layer of it mixes examples, a trained weight has 16 bits, or
            the run is a release: other engines draw from seeds that the records tell. Or the plan's steps release
            something else than one noisy sum each, or change their noise or clip norm: the suite probes the first.
    """
    if settings.randomness == "entropy":
        raise Unsupported(NO_RELEASE)
    schedule = plan.releases.schedule
    if plan.releases != Releases(schedule=schedule) or len(schedule.noise) > 1 or len(schedule.clip_norm) > 1:
        raise Unsupported(f"{_FIRST_STEP}; asked: {plan.releases.told}. Use the suite's own engine.")
    if plan.clipping != "none" and (mixing := list(mixing_layers(model))):
        raise Unsupported("examples cannot be clipped one by one:\n  " + "\n  ".join(mixing))
    run: dict[str, Any] = {"plan": plan, "examples": examples, "settings": settings, "seeds": seeds}
    require_finite(model.named_parameters())
    require_wide(model)
    law: dict[str, Any] = {"noise_measured": None}
    if plan.noise is not None:
        law = _guarded(lambda: probe(engine, copy.deepcopy(model), loss=loss, **run))
        _guarded(lambda: require_answer_to_data(engine, model, loss=loss, **run))
    trained = [value for value in model.parameters() if value.requires_grad]
    before = snapshot(trained)
    result = _guarded(lambda: engine.train(model, loss=loss, **run))
    fault = result.fault or unmoved(before, trained, plan.steps)
    return TrainingResult(record={**result.record, **law}, timing=result.timing, fault=fault)


def load_engine(method: Method) -> Engine:
    """Return a method's engine; raise `EngineFailed` if it cannot be loaded."""
    return _guarded(method.load_engine)


def probe(
    engine: Engine, model: nn.Module, *, plan: Plan, loss: Loss, seeds: Mapping[str, int], **run: Any
) -> dict[str, Any]:
    """Return ``noise_measured`` and ``released_law`` of sums that an engine released with zero gradients."""
    expected = sum(value.numel() for value in model.parameters() if value.requires_grad)
    sums: list[Tensor] = []
    while len(sums) * expected < PROBE_DRAWS and len(sums) < MOST_PROBES:
        number = len(sums) + 1  # every probe draws its own noise, different from the run's
        other = {purpose: (seed + number * 0x9E3779B97F4A7C15) % 2**63 for purpose, seed in seeds.items()}
        released = engine.probe_step(model, plan=plan, loss=without_gradient(loss), seeds=other, **run)
        released = torch.as_tensor(released)
        if released.numel() != expected:
            raise EngineFailed(f"probe_step() released {released.numel()} numbers, the model trains {expected}")
        sums.append(released.detach().flatten().cpu().double())
    return measure_law(torch.cat(sums), plan)


def require_answer_to_data(
    engine: Engine,
    model: nn.Module,
    *,
    plan: Plan,
    loss: Loss,
    settings: TrainingSettings,
    seeds: Mapping[str, int],
    **run: Any,
) -> None:
    """Raise `EngineFailed` if a step moves the weights as far without the examples' gradients as with them.

    The noise of these steps is a millionth of the plan's, without its schedule, so that it hides nothing.
    """
    quiet = replace(plan, noise=plan.given_noise.scaled(QUIET), steps=1, releases=DEFAULT)
    plain = replace(settings, optimizer="sgd", learning_rate=1 / plan.clip_norm, weight_decay=0.0)
    for number in range(MOST_EMPTY):  # a step may draw nobody
        other = {purpose: (seed + number) % 2**63 for purpose, seed in seeds.items()}
        weights = []
        for one in (loss, without_gradient(loss)):
            tried = copy.deepcopy(model)
            engine.train(tried, plan=quiet, loss=one, settings=plain, seeds=other, **run)
            weights.append(torch.cat([value.detach().flatten() for value in tried.parameters() if value.requires_grad]))
        moved = float((weights[0].double() - weights[1].double()).norm())
        noise = quiet.effective_noise_scale * quiet.given_noise.std * math.sqrt(len(weights[0]))
        if not moved <= 10 * noise * plain.learning_rate / plan.expected_batch_size:
            return
    raise EngineFailed("one step moves the weights as far without data as with them: the engine learns from nobody")


def without_gradient(loss: Loss) -> Loss:
    """Return a loss of the same graph whose gradients are all zero."""
    return lambda model, batch: 0.0 * loss(model, batch)


def measure_law(released: Tensor, plan: Plan) -> dict[str, Any]:
    """Compare sums (n,) that first steps released, of zero gradients, with the plan's noise.

    Returns ``noise_measured``, as the suite's own engine reports it, and ``released_law``: the Kolmogorov-Smirnov
    distance between the absolute values and the law, and the share of positive values. Each has the tolerance that a
    correct engine exceeds with probability `FALSE_ALARM`.
    """
    noise, schedule = plan.given_noise, plan.releases.schedule
    scale = plan.effective_noise_scale * schedule.at("noise", 0) * schedule.at("clip_norm", 0)
    meter = NoiseMeter(noise)
    for piece in (released / scale).float().split(CHUNK):
        meter.take(piece.clone())
    size = np.sort(np.abs(released.numpy())) / scale
    below, n = 1 - noise.survival(size), len(size)
    places = np.arange(n + 1) / n
    distance = float(max(np.max(places[1:] - below), np.max(below - places[:-1])))
    return {
        "noise_measured": meter.report(scale=scale),
        "released_law": {
            "draws": n,
            "distance": distance,
            "distance_tolerance": math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)),  # Dvoretzky-Kiefer-Wolfowitz, Massart
            "share_positive": float((released > 0).double().mean()),
            "share_positive_tolerance": math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)),  # Hoeffding
        },
    }


REQUIRED = (
    "steps sampling_rate dataset_size sampler adjacency batch_sizes divisor clip_norm clipping noise noise_scale "
    "trainable_parameters clipped"
).split()


def _guarded(work: Any) -> Any:
    """Run a method's code; any exception becomes a reason that the tables show."""
    try:
        answer = work()
    except LmodpError:
        raise
    except FOREIGN_ERRORS as error:
        raise EngineFailed(f"the engine raised {describe_error(error)}") from error
    if isinstance(answer, TrainingResult):
        missing = [name for name in REQUIRED if name not in answer.record]
        if missing:
            raise EngineFailed(f"the engine's record lacks {', '.join(missing)}")
        try:
            json.dumps(answer.record, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise EngineFailed(f"the engine's record is not plain JSON: {error}") from error
    return answer
