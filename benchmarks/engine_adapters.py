"""The engines under measurement, each behind two calls: ``gradient`` and ``step``.

``gradient`` ends with the (clipped) gradient sum in ``.grad``; ``step`` goes on to noise and
AdamW. Peers that do not run on a model raise; the table shows their reason.
"""

from torch import nn

from lmodp.mechanisms import PUBLISHED
from lmodp.training.clipping.engine import ClippingEngine, PlainEngine
from lmodp.training.losses import in_precision
from lmodp.training.noise import DeviceNoise, NoiseMeter
from lmodp.training.randomness import device_generator
from lmodp.training.settings import TrainingSettings, build_optimizer

CLIP_NORM = 1.0
SETTINGS = TrainingSettings(learning_rate=1e-4)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """Return the trainable parameters."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


class NonPrivate:
    """A plain backward pass and AdamW."""

    def __init__(self, model, loss, batch_size, precision):
        self.loss, self.batch_size = in_precision(loss, precision), batch_size
        self.engine = self.build(model)
        self.optimizer = build_optimizer(SETTINGS, self.engine.parameters)

    def build(self, model):
        """Return the engine around the model."""
        return PlainEngine(model)

    def gradient(self, batch):
        """Compute the gradient of the summed loss."""
        self.engine.zero_grad()
        self.engine.accumulate(self.loss, batch, self.batch_size)

    def step(self, batch):
        """Compute the gradient and update."""
        self.gradient(batch)
        self.optimizer.step()


class Ours(NonPrivate):
    """This suite's engine with LMO noise."""

    def __init__(self, model, loss, batch_size, precision):
        super().__init__(model, loss, batch_size, precision)
        law = PUBLISHED["lmo-0.3"].noise
        device = next(model.parameters()).device
        self.noise, self.meter = DeviceNoise(law, device), NoiseMeter(law)
        self.generator = device_generator("benchmark", "noise", 0, device)

    def build(self, model):
        """Return the suite's clipping engine."""
        return ClippingEngine(model, clip_norm=CLIP_NORM, clipping="flat")

    def step(self, batch):
        """Clip, add noise, divide and update."""
        self.gradient(batch)
        for parameter in self.engine.parameters:
            self.noise.add_to(parameter.grad, scale=CLIP_NORM, generator=self.generator, meter=self.meter)
            parameter.grad.mul_(1 / self.batch_size)
        self.optimizer.step()


class OpacusHooks:
    """Opacus with stored per-example gradients."""

    def __init__(self, model, loss, batch_size, precision):
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer

        self.loss = in_precision(loss, precision)
        self.model = GradSampleModule(model, loss_reduction="sum", strict=False)
        self.optimizer = DPOptimizer(
            build_optimizer(SETTINGS, trained(model)),
            noise_multiplier=1.0,
            max_grad_norm=CLIP_NORM,
            expected_batch_size=batch_size,
            loss_reduction="sum",
        )

    def gradient(self, batch):
        """Store per-example gradients, clip and sum them."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model, batch).sum().backward()
        self.optimizer.clip_and_accumulate()

    def step(self, batch):
        """Clip, add noise and update."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model, batch).sum().backward()
        self.optimizer.step()


class OpacusGhost:
    """Opacus with ghost clipping: norms in one backward pass, the sum in a second."""

    def __init__(self, model, loss, batch_size, precision):
        from opacus.grad_sample import GradSampleModuleFastGradientClipping
        from opacus.optimizers import DPOptimizerFastGradientClipping

        self.loss = in_precision(loss, precision)
        self.model = GradSampleModuleFastGradientClipping(
            model, loss_reduction="sum", strict=False, max_grad_norm=CLIP_NORM, use_ghost_clipping=True
        )
        self.optimizer = DPOptimizerFastGradientClipping(
            build_optimizer(SETTINGS, trained(model)),
            noise_multiplier=1.0,
            max_grad_norm=CLIP_NORM,
            expected_batch_size=batch_size,
            loss_reduction="sum",
        )

    def gradient(self, batch):
        """Compute norms and the clipped sum, in two backward passes."""
        from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

        self.optimizer.zero_grad(set_to_none=True)
        losses = self.loss(self.model, batch)
        DPTensorFastGradientClipping(self.model, self.optimizer, losses, "sum").backward()

    def step(self, batch):
        """Clip, add noise and update."""
        self.gradient(batch)
        self.optimizer.step()


class PrivateTransformers:
    """private-transformers with ghost clipping, where it is installed."""

    def __init__(self, model, loss, batch_size, precision):
        from private_transformers import PrivacyEngine

        self.model, self.loss = model, in_precision(loss, precision)
        self.optimizer = build_optimizer(SETTINGS, trained(model))
        PrivacyEngine(
            model,
            batch_size=batch_size,
            sample_size=1000 * batch_size,
            epochs=1,
            noise_multiplier=1.0,
            max_grad_norm=CLIP_NORM,
            clipping_mode="ghost",
            skip_checks=True,
        ).attach(self.optimizer)

    def gradient(self, batch):
        """Accumulate the clipped sum without an update."""
        self.optimizer.virtual_step(loss=self.loss(self.model, batch))
        self.optimizer.zero_grad()

    def step(self, batch):
        """Clip, add noise and update."""
        self.optimizer.step(loss=self.loss(self.model, batch))
        self.optimizer.zero_grad()


ADAPTERS = {
    "non-private": NonPrivate,
    "lmodp": Ours,
    "Opacus hooks": OpacusHooks,
    "Opacus ghost": OpacusGhost,
    "private-transformers ghost": PrivateTransformers,
}


def build_adapter(name: str, case, device: str, precision: str):
    """Return an engine on a model of its own, after one gradient has shown that it runs."""
    adapter = ADAPTERS[name](case.model(device), case.loss, case.batch_size, precision)
    adapter.gradient(case.batch(device))
    return adapter


def reason_of(error: Exception) -> str:
    """Return why an engine did not run, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}"
