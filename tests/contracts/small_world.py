"""The smallest cell a method can be tried on: a tiny random RoBERTa, sentences of random tokens, a few steps."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml
from transformers import RobertaConfig, RobertaForSequenceClassification

from lmodp.engines.foreign import load_engine, train_foreign, without_gradient
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.mechanisms import PUBLISHED, Gaussian, released
from lmodp.models.classifier import SequenceClassifier
from lmodp.models.trainable import set_trainable
from lmodp.records.runs import run_line
from lmodp.stages.calibrate_noise import calibrate_noise
from lmodp.stages.finetune_model import after_noise_of, settings_of
from lmodp.stages.verify_run import certified_plan
from lmodp.training import TokenColumns, TrainingSettings, classification_loss, probe_step, train
from lmodp.vocabulary import OWN_ENGINE

ROOT = Path(__file__).resolve().parents[2]
EPSILON = {"claimed": 3, "verified": 3}
FOLDER = TemporaryDirectory(prefix="lmodp-tiny-")
SEEDS = {"sampling": 11, "dropout": 12, "noise": 13}


def grid_of(methods, *, folder=None, prompt=None, **privacy):
    """The smoke grid with other methods."""
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    values |= {"methods": list(methods), "methods_folder": folder and str(folder)}
    values["experiments"] = {"head": {**next(iter(values["experiments"].values())), "methods": None, "privacy": None}}
    if prompt:
        values["experiments"]["head"] |= {"head": prompt, "pooling": None}
    values["privacy"] = {"epsilon": [3], "delta": [1e-6], "calibrations": ["claimed", "verified"], **privacy}
    return Grid(check_config(values))


@cache
def model_folder():
    """A folder with the tiny model's configuration, which is all that counting parameters reads."""
    tiny_config().save_pretrained(FOLDER.name)
    return Path(FOLDER.name)


def tiny_config():
    return RobertaConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        type_vocab_size=1,
        pad_token_id=0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def search_record(spec):
    """What a search would have answered, for methods that ask."""
    return (
        {"status": "done", "reason": None, "noise": PUBLISHED["figure6-0.9"].noise.to_dict()} if spec.search else None
    )


def noise_record(grid, cell):
    """What calibrate_noise writes for a cell."""
    spec = grid.mechanisms[cell.mechanism]
    content = calibrate_noise(spec, grid.methods[spec.method], search_record(spec), model_folder=model_folder())
    return {"status": "done", "reason": None, "spec": spec.to_dict(), **content}


def tiny_model(part):
    torch.manual_seed(3)
    model = SequenceClassifier(RobertaForSequenceClassification(tiny_config()), "mean")
    set_trainable(model, part, seed=0)
    return model


def tiny_examples(size, distinct=None):
    draw = np.random.default_rng(5)
    rows = [draw.integers(3, 60, size=draw.integers(4, 12)) for _ in range(distinct or size)]
    labels = draw.integers(0, 2, len(rows))
    rows, labels = [rows[n % len(rows)] for n in range(size)], np.resize(labels, size)
    return TokenColumns({"input_ids": rows}, padding={"input_ids": 0}, values={"labels": labels})


class Lengths:
    """A step hook that keeps the length of what the last step releases."""

    def before_noise(self, step, parameters):
        pass

    def after_noise(self, step, parameters, scale):
        self.length = float(torch.stack([value.grad.norm() for value in parameters]).norm())


def zero_sums(grid, cell, record, seeds):
    """What a step releases if all gradients are zero: the noise alone."""
    method, plan, model = (
        grid.methods[cell.spec.method],
        cell.spec.plan(**released(record)),
        tiny_model(cell.spec.trainable),
    )
    probe = probe_step if cell.spec.engine == OWN_ENGINE else load_engine(method).probe_step
    loss = without_gradient(classification_loss)
    run = {"examples": tiny_examples(plan.dataset_size), "settings": settings_of(cell.spec), "seeds": seeds}
    return np.asarray(probe(model, plan=plan, loss=loss, **run))


def steep_step(grid, cell, record):
    """How long the sum of one step is if all examples are one and its loss is steep, and how long it may be.

    Of another engine it is seen by how far plain SGD moves the weights.
    """
    law, part = Gaussian(std=1e-6) if record["noise"] else None, cell.spec.trainable
    method, plan = grid.methods[cell.spec.method], replace(cell.spec.plan(law, record.get("releases")), steps=1)
    model, watch, own = tiny_model(part), Lengths(), cell.spec.engine == OWN_ENGINE
    before = [value.detach().clone() for value in model.parameters()]
    result = (train if own else load_engine(method).train)(
        model,
        plan=plan,
        examples=tiny_examples(plan.dataset_size, distinct=1),
        loss=lambda model, batch: 1e4 * classification_loss(model, batch),
        settings=TrainingSettings(optimizer="sgd", learning_rate=1.0),
        seeds=SEEDS,
        **({"hooks": [watch]} if own else {}),
    )
    moved = [(new.detach() - old).norm() for old, new in zip(before, model.parameters(), strict=True)]
    length = watch.length if own else float(torch.stack(moved).norm()) * plan.expected_batch_size
    return length, result.record["batch_sizes"][0] * cell.spec.training.clip_norm * plan.releases.sensitivity


def run_cell(grid, cell, record):
    """Train a cell for its steps; return the model, the conformance record and the certified plan."""
    method, plan = grid.methods[cell.spec.method], cell.spec.plan(**released(record))
    model = tiny_model(cell.spec.trainable)
    own = partial(train, after_noise=after_noise_of(method))
    trainer = own if method.engine == OWN_ENGINE else partial(train_foreign, load_engine(method))
    result = trainer(
        model,
        plan=plan,
        examples=tiny_examples(plan.dataset_size),
        loss=classification_loss,
        settings=settings_of(cell.spec),
        seeds=SEEDS,
    )
    certified = certified_plan(cell.spec, record, {})
    return model, run_line(result.record, per_step=True), certified
