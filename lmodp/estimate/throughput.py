"""Measures how fast this machine trains with clipping, from a few steps of a small encoder."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

from lmodp.estimate.true_size import training_flops
from lmodp.mechanisms import Gaussian
from lmodp.models.classifier import SequenceClassifier
from lmodp.plan import Plan
from lmodp.training import TokenColumns, TrainingSettings, classification_loss, train

WIDTH, LAYERS, LENGTH, BATCH, STEPS = 256, 2, 64, 64, 3


def measure_throughput(device: torch.device) -> float:
    """Return the products and sums per second of a clipped, noisy training step on this machine.

    The first step, which creates buffers, is not counted. The batch is large compared
    with the model, as in private training. So noise and optimizer, whose work grows
    only with the model, have little weight in the result.
    """
    config = RobertaConfig(
        vocab_size=1000,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=LENGTH + 2,
        type_vocab_size=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SequenceClassifier(RobertaForSequenceClassification(config), "first").to(device)
    rows = np.random.default_rng(0).integers(5, 1000, size=(BATCH, LENGTH))
    examples = TokenColumns(
        {"input_ids": list(rows)}, padding={"input_ids": 1}, values={"labels": np.arange(BATCH) % 2}, device=device
    )
    seconds: list[float] = []
    plan = Plan.for_batches(
        expected_batch_size=BATCH, dataset_size=BATCH, steps=STEPS + 1, noise=Gaussian(std=1.0), clip_norm=1.0
    )
    train(
        model,
        plan=plan,
        examples=examples,
        loss=classification_loss,
        settings=TrainingSettings(learning_rate=1e-4, micro_batch_size=BATCH),
        seeds={"sampling": 0, "dropout": 0, "noise": 0},
        progress=lambda step, steps: seconds.append(time.perf_counter()),
    )
    taken = np.diff(seconds)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return BATCH * training_flops(model, length=LENGTH) / float(np.median(taken)) if len(taken) else math.nan
