"""Random noise laws for property tests: shapes and scales over several decades."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lmodp.mechanisms import ExponentialPart, GammaPart, LaplaceMixture, TruncatedNormalPart, UniformPart

CHEAP = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def between(low, high):
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


weights = between(0.05, 3.0)
gammas = st.builds(GammaPart, weight=weights, shape=between(0.3, 20), scale=between(0.05, 5))
exponentials = st.builds(ExponentialPart, weight=weights, rate=between(0.1, 10))
uniforms = st.builds(
    lambda weight, low, width: UniformPart(weight=weight, low=low, high=low + width),
    weight=weights,
    low=st.one_of(st.just(0.0), between(0.01, 5)),
    width=between(0.01, 5),
)
truncated = st.builds(
    lambda weight, mean, std, low, width: TruncatedNormalPart(
        weight=weight, mean=mean, std=std, low=low, high=low + width
    ),
    weight=weights,
    mean=between(-3, 5),
    std=between(0.1, 3),
    low=st.one_of(st.just(0.0), between(0.01, 2)),
    width=between(0.1, 8),
)
parts = st.one_of(gammas, exponentials, uniforms, truncated)
mixtures = st.builds(
    LaplaceMixture, gamma=gammas, exponential=st.one_of(st.none(), exponentials), uniform=st.one_of(st.none(), uniforms)
)
"""Mixtures as published, each but the Gamma optional (truncated normals are tested on their own: they are slow)."""


def quantile(noise, probability):
    """The x with P(X <= x) = ``probability``."""
    tail = np.minimum(probability, 1 - probability)
    return np.sign(probability - 0.5) * noise.inverse_log_survival(-np.log(2 * tail))
