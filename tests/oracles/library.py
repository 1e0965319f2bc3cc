"""The Gaussian under Poisson sampling by dp-accounting's Renyi accountant, for comparisons."""

from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.rdp import RdpAccountant


def gaussian_rdp_epsilon(*, noise_multiplier, sampling_rate, steps, delta, orders):
    accountant = RdpAccountant(orders=list(orders))
    step = PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier))
    accountant.compose(SelfComposedDpEvent(step, steps))
    return float(accountant.get_epsilon(delta))
