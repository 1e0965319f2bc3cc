"""The Gaussian under Poisson sampling, by the accounting library.

The library takes a second to import, and not every job needs it; so the functions import it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


def gaussian_rdp_epsilon(
    *, noise_multiplier: float, sampling_rate: float, steps: int, delta: float, orders: Iterable[int]
) -> float:
    """Return the RDP epsilon of ``steps`` Poisson-sampled Gaussian sums.

    Args:
        noise_multiplier: standard deviation over sensitivity.
        orders: Renyi orders to take the smallest epsilon over.
    """
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=list(orders))
    step = PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier))
    accountant.compose(SelfComposedDpEvent(step, steps))
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=256)
def gaussian_pld_epsilon(
    *, noise_multiplier: float, sampling_rate: float, steps: int, delta: float, interval: float
) -> float:
    """Return the epsilon of the same run from its privacy loss distribution, both directions.

    Losses are rounded up by connecting the dots: an upper bound whose excess is of second order.

    Args:
        interval: width of the discretised losses.
    """
    from dp_accounting.pld import privacy_loss_distribution

    loss = privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier, sampling_prob=sampling_rate, value_discretization_interval=interval
    )
    return float(loss.self_compose(steps).get_epsilon_for_delta(delta))
