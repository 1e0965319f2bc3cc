"""Noise as data: distributions, moment generating functions, densities, sampler tables, search spaces.

Nothing here knows of privacy or of torch.
"""

from lmodp.mechanisms.gaussian import Gaussian
from lmodp.mechanisms.gaussian_mixture import GaussianMixture
from lmodp.mechanisms.histogram import Histogram
from lmodp.mechanisms.mixture import Laplace, LaplaceMixture, RateMixture
from lmodp.mechanisms.noise import Noise
from lmodp.mechanisms.parts import ExponentialPart, GammaPart, TruncatedNormalPart, UniformPart
from lmodp.mechanisms.published import PUBLISHED, PublishedNoise, as_drawn, load_noise
from lmodp.mechanisms.reading import noise_from_dict, released
from lmodp.mechanisms.releases import DEFAULT, Banded, Differences, Gradient, Moments, Quantile, Releases, Schedule
from lmodp.mechanisms.sampler_table import SamplerTable, sampler_table
from lmodp.mechanisms.soundness import mixture_of, require_sound_law
from lmodp.mechanisms.spherical import Spherical

__all__ = [
    "DEFAULT",
    "PUBLISHED",
    "Banded",
    "Differences",
    "ExponentialPart",
    "GammaPart",
    "Gaussian",
    "GaussianMixture",
    "Gradient",
    "Histogram",
    "Laplace",
    "LaplaceMixture",
    "Moments",
    "Noise",
    "PublishedNoise",
    "Quantile",
    "RateMixture",
    "Releases",
    "SamplerTable",
    "Schedule",
    "Spherical",
    "TruncatedNormalPart",
    "UniformPart",
    "as_drawn",
    "load_noise",
    "mixture_of",
    "noise_from_dict",
    "released",
    "require_sound_law",
    "sampler_table",
]
