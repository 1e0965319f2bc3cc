"""LMO-DP: Laplace noise with a random rate found by an offline search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.methods.contract import Mechanism, Method, PublishedPoint, Target

if TYPE_CHECKING:
    from lmodp.mechanisms import LaplaceMixture

# Published as plots of the noise and as results of a search for usefulness, with the accounting of SST-2.
FURTHER = {
    "lmo": (5,),
    "figure6": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 4),
    "usefulness": (0.3, 0.7, 2, 3),
}


class LmoDp(Method):
    """The noise as the paper analyses it.

    Under ``claimed`` it is the published point with that epsilon of one step. If none
    was published, it is the result of the offline search; that result is recorded in
    any case. Under ``verified`` it is the same shape times the smallest scale whose
    bound for the whole run is within the target; below all that is known, the shape
    that was published for the least epsilon.
    """

    name = "lmo_dp"
    title = "LMO-DP"
    reference = "Yang et al., arXiv 2405.18776"
    needs_search = True

    def published_points(self, *, dataset: str, dataset_size: int) -> tuple[PublishedPoint, ...]:
        """Return the published points that no experiment used, for the data set of their accounting."""
        return tuple(
            PublishedPoint(setting=f"{family}-{epsilon:g}", epsilon=epsilon)
            for family, epsilons in FURTHER.items()
            for epsilon in epsilons
            if dataset == "sst2"
        )

    def mechanism(self, target: Target) -> Mechanism:
        """Return the LMO noise that reaches the target."""
        shape, source = lmo_shape(target)
        if target.calibration == "claimed":
            return Mechanism(noise=shape, published_epsilon_step=target.epsilon, note=source)
        noise = target.calibrate(shape)
        return Mechanism(noise=noise, note=f"shape of the {source}, times the smallest scale within the verified bound")


def lmo_shape(target: Target) -> tuple[LaplaceMixture, str]:
    """Return the noise for a published point, a published epsilon of one step or the search's result, and its source.

    Raises:
        Unsupported: nothing was published for this epsilon, and the search found nothing.
    """
    from lmodp.errors import Unsupported
    from lmodp.mechanisms import PUBLISHED, LaplaceMixture, noise_from_dict  # slow, and not needed to list methods

    setting = PUBLISHED.get(target.setting or f"lmo-{target.epsilon:g}")
    if setting is not None:
        return setting.noise, f"published setting {setting.name!r}"
    if not target.search or target.search["noise"] is None:
        known = {point.published_epsilon_step: point for point in PUBLISHED.values() if point.published_epsilon_step}
        least = min(known)
        if target.calibration == "verified" and target.epsilon < least:
            return known[least].noise, f"published setting {known[least].name!r}, the least epsilon of one step known"
        found = target.search["reason"] if target.search else "no search was made"
        raise Unsupported(
            f"no setting was published for epsilon = {target.epsilon:g} of one step, and the search has none: {found}"
        )
    noise = noise_from_dict(target.search["noise"])
    if not isinstance(noise, LaplaceMixture):
        raise Unsupported(f"the search found a noise of family {noise.family!r}, LMO-DP needs a Laplace mixture")
    return noise, f"noise that the search found below {target.epsilon:g}"
