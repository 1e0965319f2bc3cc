"""Adam whose second moment is corrected for the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmodp.baselines.gaussian import GaussianVariant

if TYPE_CHECKING:
    import torch

    from lmodp.plan import Plan
    from lmodp.training import TrainingSettings

FLOOR = 0.1  # of the noise's variance: a smaller corrected second moment is within its own sampling error; our choice


class AdamBc(GaussianVariant):
    """DP-AdamBC: the noise's variance is taken off Adam's second moment, before the root.

    An update is m / sqrt(max(v - Phi, FLOOR Phi)), m and v corrected for their start, Phi = (noise_multiplier C / B)^2
    (algorithm 1, where the floor is a constant). All of it follows the noise, so the mechanism is that of ``gaussian``.
    """

    name = "adam_bc"
    title = "Gaussian, AdamBC"
    reference = "Tang, Shpilevskiy, Lécuyer, arXiv 2312.14334"
    after_noise = "Adam with the noise's variance taken off its second moment"

    def build_optimizer(
        self, parameters: list[torch.nn.Parameter], settings: TrainingSettings, plan: Plan
    ) -> torch.optim.Optimizer:
        """Return the corrected Adam for the plan's noise."""
        import torch

        class CorrectedAdam(torch.optim.Optimizer):
            """One optimiser state for each parameter: step, m and v."""

            @torch.no_grad()
            def step(self, closure: Any = None) -> None:  # type: ignore[override]
                """Move every parameter by the corrected update."""
                for group in self.param_groups:
                    for parameter in group["params"]:
                        self._move(parameter, group)

            def _move(self, parameter: torch.nn.Parameter, group: dict[str, Any]) -> None:
                state, gradient = self.state[parameter], torch.as_tensor(parameter.grad)
                if not state:
                    state.update(step=0, m=torch.zeros_like(parameter), v=torch.zeros_like(parameter))
                state["step"] += 1
                beta1, beta2 = group["betas"]
                state["m"].lerp_(gradient, 1 - beta1)
                state["v"].lerp_(gradient**2, 1 - beta2)
                m, v = state["m"] / (1 - beta1 ** state["step"]), state["v"] / (1 - beta2 ** state["step"])
                below = max(FLOOR * group["phi"], settings.adam_epsilon**2)
                parameter.mul_(1 - group["lr"] * settings.weight_decay)
                parameter.addcdiv_(m, (v - group["phi"]).clamp_min(below).sqrt(), value=-group["lr"])

        std = plan.given_noise.std * plan.effective_noise_scale / plan.expected_batch_size
        return CorrectedAdam(parameters, {"lr": settings.learning_rate, "betas": settings.betas, "phi": std**2})
