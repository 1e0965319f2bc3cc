"""The Gaussian under Poisson sampling, by the accounting library.

The library takes a second to import, and not every job needs it; so the function imports it.
"""

from functools import lru_cache


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
