"""private-transformers behind the seam, on a stand-in with the package's interface.

The package is on no registry, so it is not here. The stand-in has the parts of its
interface that the seam uses (`PrivacyEngine`, `attach`, `step`, `virtual_step`,
`detach`, `get_privacy_spent`), refuses every model that is not on its list of classes
as the real class does (version 0.2.3), and clips by explicit per-example gradients.
"""

import copy
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification, GPT2LMHeadModel, RobertaForSequenceClassification

from lmodp.auditing.conformance import compare_run
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Laplace
from lmodp.methods.contract import Target, missing_package
from lmodp.methods.discovery import BASELINES, get_method
from lmodp.plan import Plan
from lmodp.records.runs import run_line
from lmodp.training import ClippingEngine, PoissonSampler, TrainingSettings
from lmodp.training.randomness import stream_key
from tests.unit.engines.models import tiny

SETTINGS = TrainingSettings(learning_rate=1e-2, micro_batch_size=7, optimizer="sgd")
SEEDS = {"sampling": 1, "dropout": 2, "noise": 3}


SUPPORTED = (RobertaForSequenceClassification, BertForSequenceClassification, GPT2LMHeadModel)


class PrivacyEngine:
    def __init__(
        self,
        module,
        *,
        batch_size,
        sample_size,
        max_grad_norm,
        epochs,
        noise_multiplier,
        target_delta=None,
        clipping_mode="default",
        record_snr=True,
        accounting_mode="rdp",
        skip_checks=False,
    ):
        assert epochs > 0
        if not isinstance(module, SUPPORTED) and not skip_checks:
            raise ValueError(
                f"Model type {type(module)} is not supported. Please file an issue if you want this model to be added."
                f"\nCurrently supported transformers are: {SUPPORTED}"
            )
        self.target_delta = target_delta
        self.module, self.batch_size, self.sample_size, self.sample_rate = (
            module,
            batch_size,
            sample_size,
            batch_size / sample_size,
        )
        self.max_grad_norm, self.noise_multiplier = max_grad_norm, noise_multiplier
        self.named_params = tuple((name, value) for name, value in module.named_parameters() if value.requires_grad)
        self.num_params = sum(value.numel() for _, value in self.named_params)

    def attach(self, optimizer):
        self.optimizer, self.original_step = optimizer, optimizer.step
        optimizer.step = lambda loss: (self.step(loss=loss), self.original_step())
        optimizer.virtual_step = self.virtual_step
        optimizer.zero_grad = self.zero_grad

    def detach(self):
        self.optimizer.step = self.original_step

    def zero_grad(self):
        for _, value in self.named_params:
            value.grad = value.summed_grad = None

    def virtual_step(self, loss):
        values = [value for _, value in self.named_params]
        for one in loss:
            grads = torch.autograd.grad(one, values, retain_graph=True)
            norm = torch.cat([grad.flatten() for grad in grads]).norm()
            for value, grad in zip(values, grads, strict=True):
                held = getattr(value, "summed_grad", None)
                share = grad * (self.max_grad_norm / (norm + 1e-6)).clamp(max=1)
                value.summed_grad = share if held is None else held + share

    def get_privacy_spent(self, steps):
        return {"eps_rdp": steps * self.sample_rate / self.noise_multiplier, "alpha_rdp": 2.0}

    def step(self, loss):
        self.virtual_step(loss)
        for _, value in self.named_params:
            noise = torch.normal(0.0, self.noise_multiplier * self.max_grad_norm, value.shape)
            value.grad = (value.summed_grad + noise) / self.batch_size


@pytest.fixture
def engine(monkeypatch):
    package = ModuleType("private_transformers")
    package.PrivacyEngine = PrivacyEngine
    monkeypatch.setitem(sys.modules, "private_transformers", package)
    monkeypatch.delitem(sys.modules, "lmodp.engines.private_transformers", raising=False)
    from lmodp.engines.private_transformers import PrivateTransformersEngine

    yield PrivateTransformersEngine()
    sys.modules.pop("lmodp.engines.private_transformers", None)


def plan(**fields):
    given = {"clip_norm": 0.05, "noise": Gaussian(std=2.0), "steps": 3, "delta": 1e-5, **fields}
    return Plan.for_batches(expected_batch_size=20, dataset_size=40, **given)


def test_a_run_conforms_and_its_noise_is_tested(engine):
    from lmodp.engines.foreign import train_foreign

    model, examples, loss = tiny("roberta", language_model=False, part="head")
    record = train_foreign(
        engine, model, plan=plan(), examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS
    ).record
    assert compare_run(plan(), run_line(record, per_step=True), engine="private_transformers")["conforms"]


def test_it_takes_the_suites_poisson_draws_and_sums_all_micro_batches(engine):
    """With next to no noise a step moves the weights by the suite's own clipped sum of the drawn examples."""
    model, examples, loss = tiny("roberta", language_model=False, part="head")
    quiet = plan(noise=Gaussian(std=1e-9), steps=1)
    drawn = PoissonSampler(plan=quiet, key=stream_key(1, randomness="seeded")).draw(0)
    own = ClippingEngine(copy.deepcopy(model), clip_norm=0.05, clipping="flat")
    own.zero_grad()
    own.accumulate(loss, examples.batch(drawn), len(drawn))
    before = [value.detach().clone() for value in model.parameters() if value.requires_grad]
    result = engine.train(model, plan=quiet, examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS)
    assert result.record["batch_sizes"] == [len(drawn)]
    for old, new, value in zip(before, (p for p in model.parameters() if p.requires_grad), own.parameters, strict=True):
        assert torch.allclose(old - new, SETTINGS.learning_rate * value.grad / 20, atol=1e-7)


def test_its_claim_is_the_packages_own_epsilon(engine):
    target = Target(calibration="verified", epsilon=3, delta=1e-5, sampling_rate=0.1, steps=20)
    answer = get_method("private_transformers").mechanism(target)
    assert answer.claim.epsilon == pytest.approx(20 * 0.1 / answer.noise.std)


def test_where_it_is_missing_one_line_says_where_to_read_on(monkeypatch):
    monkeypatch.setattr("lmodp.methods.contract.find_spec", lambda name: None)
    method = get_method("private_transformers")
    told = missing_package(method)
    assert told == (
        "missing package: private_transformers is not installed. "
        "Install it: see 'private-transformers' in baselines/README.md"
    )
    readme = (BASELINES / "README.md").read_text()
    assert "## private-transformers" in readme and all(name in readme.replace("-", "_") for name in method.requires)


def test_a_step_without_examples_releases_noise_alone(engine):
    model, examples, loss = tiny("roberta", language_model=False, part="head")
    rare = Plan(noise=Gaussian(std=2.0), sampling_rate=1e-9, steps=1, delta=1e-5, clip_norm=0.05, dataset_size=40)
    record = engine.train(model, plan=rare, examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS).record
    assert record["batch_sizes"] == [0] and record["diagnostics"]["training_loss"] == [None]
    released = engine.probe_step(model, plan=rare, examples=examples, loss=loss, settings=SETTINGS, seeds=SEEDS)
    assert float(np.std(released.numpy())) == pytest.approx(2.0 * 0.05, rel=0.2)


def test_tied_parameters_other_noise_and_other_clipping_are_refused(engine):
    model, examples, loss = tiny("gpt2", language_model=True, part="full")
    run = {"examples": examples, "loss": loss, "settings": SETTINGS, "seeds": SEEDS}
    with pytest.raises(Unsupported, match="cross terms of tied parameters"):
        engine.train(model, plan=plan(), **run)
    for fields in ({"noise": Laplace(scale=1.0)}, {"clipping": "automatic"}):
        with pytest.raises(Unsupported, match="Gaussian noise under flat clipping only"):
            engine.train(model, plan=plan(**fields), **run)
