"""Gaussian noise of random size, drawn anew for each coordinate."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_ndtr, logsumexp

from lmodp.errors import require
from lmodp.mechanisms.arrays import FloatLike, Floats
from lmodp.mechanisms.noise import Noise, number, positive

_RANGE = 1e-90, 1e90  # their squares are doubles


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(Noise):
    """A scale mixture of centred normal laws.

    Args:
        stds: standard deviations, finite and above 0, shape (n,).
        weights: their probabilities, above 0, summing to 1, shape (n,).
    """

    family: ClassVar[str] = "gaussian_mixture"
    lengths: ClassVar[tuple[str, ...]] = ("stds",)
    stds: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        require(len(self.stds) == len(self.weights) > 0, "weights", self.weights, "must be as many as stds, at least 1")
        object.__setattr__(self, "stds", tuple(positive("stds", each, *_RANGE) for each in self.stds))
        object.__setattr__(self, "weights", tuple(number("weights", each) for each in self.weights))
        sound = min(self.weights) > 0 and math.isclose(sum(self.weights), 1, rel_tol=1e-12)
        require(sound, "weights", self.weights, "must be above 0 and sum to 1")

    def log_precision_mgf(self, t: Floats) -> Floats:
        """Return log E[exp(t / std^2)], std random; convex in t, shape of t."""
        terms = np.asarray(t, dtype=np.float64)[..., None] / np.square(self.stds) + np.log(self.weights)
        found: Floats = logsumexp(terms, axis=-1)
        return found

    def log_survival(self, x: FloatLike) -> Floats:
        """Return log P(|X| > x)."""
        z = np.maximum(np.asarray(x, dtype=np.float64), 0.0)[..., None] / np.array(self.stds)
        found: Floats = np.minimum(logsumexp(log_ndtr(-z) + np.log(self.weights), axis=-1) + math.log(2), 0.0)
        return found

    def log_density(self, x: FloatLike) -> Floats:
        """Return log p(x)."""
        z, stds = np.asarray(x, dtype=np.float64)[..., None] / np.array(self.stds), np.array(self.stds)
        found: Floats = logsumexp(np.log(self.weights) - z * z / 2 - np.log(stds * math.sqrt(2 * math.pi)), axis=-1)
        return found

    @property
    def variance(self) -> float:
        """The mean of std^2."""
        return float(np.dot(self.weights, np.square(self.stds)))
