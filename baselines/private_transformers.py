"""private-transformers: ghost clipping, its noise and its accountant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.baselines.gaussian import GaussianVariant
from lmodp.methods.contract import Claim, Mechanism, Target

if TYPE_CHECKING:
    from lmodp.methods.engine import Engine


class PrivateTransformers(GaussianVariant):
    """The same Gaussian and the same plan as ``gaussian``, trained by another engine.

    The package is on no registry, so the suite does not depend on it. It runs in the
    suite's own environment; ``baselines/README.md`` says how to add it.
    """

    name = "private_transformers"
    title = "Gaussian by private-transformers"
    reference = "Li et al. 2022, arXiv 2110.05679"
    requires = dict.fromkeys(
        ("private_transformers", "ml_swissknife", "opt_einsum", "six"),
        "see 'private-transformers' in baselines/README.md",
    )
    architectures = ("roberta", "gpt2")
    engine = "private_transformers"
    mechanism_of = None  # the noise is the same, the claim is its own

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian of ``gaussian``; the claim is the package's own epsilon for it."""
        from private_transformers import PrivacyEngine  # optional, and slow to import
        from torch import nn

        noise = target.calibrate("gaussian")
        engine = PrivacyEngine(
            nn.Linear(1, 1),
            batch_size=target.sampling_rate,
            sample_size=1,
            epochs=1,
            max_grad_norm=1.0,
            noise_multiplier=noise.std,
            target_delta=target.delta,
            accounting_mode="rdp",
            skip_checks=True,  # here only the accountant is used, and a Linear is no transformer
        )
        epsilon = float(engine.get_privacy_spent(steps=target.steps)["eps_rdp"])
        claim = Claim(epsilon=epsilon, formula="private-transformers' RDP accountant, of the whole run")
        return Mechanism(noise=noise, claim=claim, note="smallest standard deviation within the verified bound")

    def load_engine(self) -> Engine:
        """Return the engine."""
        from lmodp.engines.private_transformers import PrivateTransformersEngine

        return PrivateTransformersEngine()
