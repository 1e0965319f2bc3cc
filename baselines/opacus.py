"""Opacus end to end: its per-example gradients, clipping, noise, sampler and accountant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.baselines.gaussian import GaussianVariant
from lmodp.methods.contract import CLAIM_DELTAS, Claim, Mechanism, Target

if TYPE_CHECKING:
    from lmodp.methods.engine import Engine


class Opacus(GaussianVariant):
    """The same Gaussian and the same plan as ``gaussian``, trained by another engine.

    Its claim is the epsilon of its own accountant for that plan.
    """

    name = "opacus"
    title = "Gaussian by Opacus"
    reference = "Yousefpour et al. 2021, arXiv 2109.12298"
    requires = {"opacus": "pip install opacus==1.6.0"}
    engine = "opacus"
    mechanism_of = None  # the noise is the same, the claim is its own

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Gaussian of ``gaussian``, with Opacus's own epsilon for it as the claim."""
        from opacus.accountants import PRVAccountant  # slow to import, and not needed to list methods

        noise = target.calibrate("gaussian")
        accountant = PRVAccountant()
        accountant.history = [(noise.std, target.sampling_rate, target.steps)]
        epsilon, *others = (float(accountant.get_epsilon(delta=delta)) for delta in (target.delta, *CLAIM_DELTAS))
        at = tuple(pair for pair in zip(CLAIM_DELTAS, others, strict=True) if pair[1] > 0)
        claim = Claim(epsilon=epsilon, formula="Opacus's PRV accountant, of the whole run", epsilon_at=at)
        return Mechanism(noise=noise, claim=claim, note="smallest standard deviation within the verified bound")

    def load_engine(self) -> Engine:
        """Return the engine."""
        from lmodp.engines.opacus import OpacusEngine

        return OpacusEngine()
