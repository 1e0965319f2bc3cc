"""The training engine: per-example clipping, noise on the device, Poisson sampling, checkpoints.

It receives a certified `lmodp.plan.Plan` and never imports an accountant.
"""

from lmodp.training.clipping.engine import ClippedBatch, ClippingEngine, clip_factors
from lmodp.training.clipping.rules import LayerRule, layer_rule
from lmodp.training.examples import Examples, TensorExamples, TokenColumns
from lmodp.training.loop import TrainingResult, train
from lmodp.training.losses import causal_lm_loss, classification_loss
from lmodp.training.noise import DeviceNoise, draw
from lmodp.training.probes import probe_step
from lmodp.training.sampling import PoissonSampler
from lmodp.training.settings import TrainingSettings
from lmodp.training.step import PrivateStep, StepHook, StepReport

__all__ = [
    "ClippedBatch",
    "ClippingEngine",
    "DeviceNoise",
    "Examples",
    "LayerRule",
    "PoissonSampler",
    "PrivateStep",
    "StepHook",
    "StepReport",
    "TensorExamples",
    "TokenColumns",
    "TrainingResult",
    "TrainingSettings",
    "causal_lm_loss",
    "classification_loss",
    "clip_factors",
    "draw",
    "layer_rule",
    "probe_step",
    "train",
]
