"""Lap2: Laplace noise under L2 clipping, calibrated by its own closed form."""

from typing import Any

from lmodp.data.cards import published_name
from lmodp.methods.contract import CLAIM_DELTAS, Claim, Mechanism, Method, PublishedPoint, Target

POINTS = {
    "sst2": (3.7382, 1.1584, 0.9108, 0.5384),
    "qnli": (3.6452, 1.1365, 0.9345, 0.5168),
    "e2e": (1.2, 1, 0.4),
}


class Lap2(Method):
    """Independent Laplace noise in every coordinate of an L2-clipped gradient.

    Under ``claimed`` the formula of its script gives the scale for the whole run,
    b = C sqrt(E q H_N / (8 Phi)). Its published epsilons run as additional points.
    Their delta was not published, so the grid's is used.
    """

    name = "lap2"
    title = "Lap2"
    reference = "arXiv 2602.23516"
    needs_dimension = True

    def published_points(self, *, dataset: str, dataset_size: int) -> tuple[PublishedPoint, ...]:
        """Return the epsilons of the data set's task."""
        task = published_name(dataset)
        return tuple(
            PublishedPoint(setting=f"lap2-{task}-{epsilon:g}", epsilon=epsilon) for epsilon in POINTS.get(task, ())
        )

    def mechanism(self, target: Target) -> Mechanism:
        """Return the Laplace noise that reaches the target, and the epsilon that Lap2's formula claims for it."""
        from lmodp.accounting import lap2_epsilon, lap2_scale  # slow to import, and not needed to list methods
        from lmodp.mechanisms import Laplace

        rate, coordinates = target.sampling_rate, target.given_dimension
        run: Any = {"sampling_rate": rate, "epochs": target.steps * rate, "coordinates": coordinates}
        if target.calibration == "verified":
            # A Laplace's mean absolute value is its scale.
            scale, note = target.calibrate("laplace").mean_abs, "smallest scale within the verified bound"
        else:
            scale = lap2_scale(epsilon=target.epsilon, delta=target.delta, **run)
            note = "scale by Lap2's formula for the whole run"
        claim = Claim(
            epsilon=lap2_epsilon(scale=scale, delta=target.delta, **run),
            formula=f"Lap2's closed form for {coordinates} coordinates, of the whole run",
            epsilon_at=tuple((delta, lap2_epsilon(scale=scale, delta=delta, **run)) for delta in CLAIM_DELTAS),
            published_epsilon_run=target.epsilon if target.setting else None,
        )
        return Mechanism(noise=Laplace(scale=scale), claim=claim, note=note)
