"""A noise law of one's own that is not what it says: each fault is named before an answer rests on it."""

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import gammaincc, gammainccinv

import lmodp
from lmodp.accounting import scale_to_target, verified_plan, verified_run
from lmodp.accounting.pld.bounds import cell_interval
from lmodp.errors import InvalidValue, Unsupported
from lmodp.mechanisms import (
    PUBLISHED,
    Gaussian,
    GaussianMixture,
    Histogram,
    Laplace,
    Noise,
    RateMixture,
    Releases,
    Schedule,
    noise_from_dict,
    soundness,
)
from lmodp.plan import Plan

pytestmark = pytest.mark.contract
ONE = {"sampling_rate": 1.0, "steps": 1, "delta": 1e-10}
RUN = {"sampling_rate": 0.03, "steps": 100, "delta": 1e-10}


@pytest.fixture(scope="module", autouse=True)
def _forgotten():
    """The families of this file are not known to others."""
    yield
    for family in [name for name, law in Noise.laws.items() if law.__module__ == __name__]:
        del Noise.laws[family]


@dataclass(frozen=True, kw_only=True)
class Exponential(Noise):
    """A Laplace law, of which faults are made."""

    family: ClassVar[str] = "exponential_of_ones_own"
    scale: float

    def log_density(self, x):
        return -np.abs(x) / self.scale - math.log(2 * self.scale)

    def log_survival(self, x):
        return -np.maximum(x, 0.0) / self.scale

    def inverse_log_survival(self, exponent):
        return self.scale * np.asarray(exponent, dtype=float)


def faulty(**changed):
    """Return the law with functions of its own."""
    body = {"family": f"faulty_{len(Noise.laws)}", "__module__": __name__, **changed}
    law = type("Faulty", (Exponential,), {**body, "__qualname__": body["family"]})
    return dataclass(frozen=True, kw_only=True)(law)(scale=3.0)


def test_a_sound_law_has_what_the_known_one_has():
    found, known = verified_run(Exponential(scale=3.0), dimension=1, **ONE), verified_run(Laplace(scale=3.0), **ONE)
    assert found.status == "ok" and found.lower <= 1 / 3 <= found.upper < 1.02 / 3 < known.upper


def test_every_law_of_the_suite_would_pass():
    known = [Gaussian(std=3.1), Laplace(scale=2.2), GaussianMixture(stds=(2.0, 4.0), weights=(0.2, 0.8))]
    steps = Histogram(width=0.5, masses=(0.3, 0.2, 0.1, 0.1), ratio=0.75)
    for law in [*known, steps, *(point.noise for point in PUBLISHED.values())]:
        soundness._checked(law)


@pytest.mark.parametrize("known", [Gaussian, Laplace, Histogram])
def test_a_subclass_of_a_known_law_is_not_taken_for_it(known):
    with pytest.raises(InvalidValue, match=rf"is a subclass of {known.__name__}, .* Derive it from Noise or"):
        type("Truncated", (known,), {"family": "truncated", "__module__": __name__})
    with pytest.raises(InvalidValue, match=f"is a subclass of {known.__name__}"):  # where a record is read, too
        noise_from_dict({"family": "truncated"})


@pytest.mark.parametrize("name", ["score", "log_survival", "score_maximum", "fisher_information"])
def test_what_follows_from_a_rate_is_not_stated_beside_it(name):
    with pytest.raises(InvalidValue, match=f"has its own {name}, which follows from other functions"):
        type("Rate", (RateMixture,), {name: cached_property(lambda self: 1.0), "__module__": __name__})


@pytest.mark.parametrize(("told", "hint"), [("std", float), ("score_maximum", float), ("variance", "float")])
def test_a_field_does_not_hide_a_property(told, hint):
    with pytest.raises(InvalidValue, match=f"has a field '{told}', which is a property of every law"):
        type("Hiding", (RateMixture,), {"__annotations__": {told: hint}, "__module__": __name__})


def _kept(scale, **options):
    body = {"family": f"kept{sorted(options)}", "__annotations__": {"scale": float}, "scale": scale}
    made = type("Kept", (Noise,), {**body, "__module__": __name__, "__qualname__": body["family"]})
    made.log_density, made.log_survival = Exponential.log_density, Exponential.log_survival
    made.__abstractmethods__ = frozenset()
    return dataclass(kw_only=True, **options)(made)


@pytest.mark.parametrize(
    "law", [_kept(field()), _kept(field(compare=False), frozen=True), _kept(field(hash=False), frozen=True, order=True)]
)
def test_a_law_that_answers_cannot_be_kept_by_is_refused(law):
    for ask in (
        lambda: verified_run(law(scale=2.0), **ONE),
        lambda: noise_from_dict({"family": law.family, "scale": 2.0}),
    ):
        with pytest.raises(InvalidValue, match="must be a frozen dataclass that is compared by all its fields"):
            ask()


def test_a_field_that_cannot_be_hashed_is_named_as_such():
    assert "its fields must be numbers" in verified_run(Exponential(scale=np.array([2.0])), **ONE).reason


def test_a_law_that_changes_between_calls_is_found():
    law = faulty(power=1.0, log_survival=lambda self, x: -np.maximum(x, 0.0) * self.power / self.scale)
    assert verified_run(law, dimension=1, **ONE).status == "ok"
    type(law).power = 2.0
    assert "its functions change between calls" in verified_run(law, dimension=1, **ONE).reason


def _scalar_only(self, x):
    return -max(x, 0.0) / self.scale


FAULTS = {
    "log_survival of an array fails: ValueError": {"log_survival": _scalar_only},
    "log_density of an array of shape": {"log_density": lambda self, x: -1.0},
    r"log_density\(.*is -inf": {"log_density": lambda self, x: np.log(1 - np.asarray(x) / 9)},
    r"inverse_log_survival\(16.5\) is infinite, and": {
        "inverse_log_survival": lambda self, e: np.where(np.asarray(e) > 16, np.inf, self.scale * np.asarray(e))
    },
    "`lengths` names every field": {"lengths": ()},
    r"scaled\(0.4\), which multiplies the fields in `lengths`, fails: AttributeError": {"lengths": ("width",)},
    "its variance fails: TypeError": {"variance": property(lambda self: self.scale + "")},
    "its variance is stated as 9, and that of its survival is 18": {"variance": property(lambda self: self.scale**2)},
    "its mean_abs is stated as inf, and": {"mean_abs": property(lambda self: math.inf)},
    "density and survival are not of one law": {"log_density": lambda self, x: -np.abs(x) / self.scale - 2.0},
    r"log_survival\(0\) is not 0": {"log_survival": lambda self, x: -np.maximum(x, 0.0) / self.scale - 1e-3},
}


@pytest.mark.parametrize("told", FAULTS)
def test_a_fault_is_named_at_every_door(told):
    law = faulty(**FAULTS[told])
    found = verified_run(law, dimension=1, **ONE)
    assert found.status == "unsupported" and found.upper == math.inf
    assert re.search(told, found.reason)
    for ask in (
        lambda: lmodp.account(Plan(noise=law, **RUN)),
        lambda: scale_to_target(law, accountant="verified", epsilon=1.0, **RUN),
    ):
        with pytest.raises(Unsupported, match=told):
            ask()


@dataclass(frozen=True, kw_only=True)
class Cubic(Noise):
    """Density exp(-|x/scale|^3), with an inverse that may end too early."""

    family: ClassVar[str] = "cubic_that_ends"
    scale: float
    top: float = 690.0

    def log_density(self, x):
        return -(np.abs(np.asarray(x) / self.scale) ** 3) - math.log(2 * self.scale * math.gamma(4 / 3))

    def log_survival(self, x):
        with np.errstate(divide="ignore"):
            return np.log(gammaincc(1 / 3, (np.maximum(x, 0.0) / self.scale) ** 3))

    def inverse_log_survival(self, exponent):
        e = np.asarray(exponent, dtype=float)
        return np.where(e > self.top, np.inf, self.scale * gammainccinv(1 / 3, np.exp(-e)) ** (1 / 3))


def test_mass_beyond_an_inverse_that_ends_is_counted():
    found, known = (cell_interval(Cubic(scale=3.0, top=top), **ONE) for top in (16.0, 690.0))
    assert found.lower <= known.lower <= known.upper < found.upper == math.inf


@dataclass(frozen=True, kw_only=True)
class Bounded(Noise):
    """Epanechnikov's density, whose logarithm is ``outside`` where it is 0."""

    family: ClassVar[str] = "bounded"
    scale: float
    outside: float = -math.inf

    def log_density(self, x):
        u = np.abs(np.asarray(x, dtype=float)) / self.scale
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(u < 1, np.log(0.75 * (1 - u * u) / self.scale), self.outside)

    def log_survival(self, x):
        u = 1 - np.clip(np.asarray(x, dtype=float) / self.scale, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            return np.log(u * u * (3 - u) / 2)


def test_a_density_that_is_nan_has_no_bound_and_one_that_ends_says_so():
    with pytest.raises(Unsupported, match="log_density is NaN"):
        cell_interval(Bounded(scale=10.0, outside=math.nan), **ONE)
    found = verified_run(Bounded(scale=10.0), dimension=1, **ONE)
    assert found.status == "infinite" and "possible on one side only" in found.reason
    beyond = 0.1**2 * 2.9 / 4  # of the half line's end that the other side does not reach
    assert verified_run(Bounded(scale=10.0), dimension=1, **{**ONE, "delta": 1.5 * beyond}).upper < math.inf


@dataclass(frozen=True, kw_only=True)
class GammaRate(RateMixture):
    """Rate of a gamma law, with a factor in each derivative."""

    family: ClassVar[str] = "gamma_rate_of_ones_own"
    scale: float
    first: float = 1.0
    second: float = 1.0
    sign: float = 1.0

    def log_mgf(self, t):
        t = np.asarray(t, dtype=float) / self.scale
        far = 1 - self.sign * t
        k = 3.0 * self.sign
        return -k * np.log(far), self.first * 3.0 / far / self.scale, self.second * k / far**2 / self.scale**2

    @property
    def mgf_domain(self):
        return self.scale

    @property
    def tail_exponent(self):
        return 3.0


def test_a_rate_whose_derivatives_are_wrong_has_no_proof():
    assert verified_run(GammaRate(scale=5.0), **RUN).status == "ok"
    for wrong in ({"first": 1.01}, {"second": 0.0}, {"second": 0.99}, {"sign": -1.0}):
        for dimension in (1, None):
            found = verified_run(GammaRate(scale=5.0, **wrong), dimension=dimension, **RUN)
            assert found.status == "unsupported" and "log_mgf" in found.reason
    with pytest.raises(Unsupported, match="log_mgf's K'' is not of this K"):
        lmodp.account(Plan(noise=GammaRate(scale=5.0, second=0.0), **RUN))


@pytest.mark.parametrize("own", [True, False])
def test_two_routes_that_disagree_are_a_fault_of_the_suite_only_for_its_own_laws(own, monkeypatch):
    module = __import__("lmodp.accounting.verified", fromlist=["verified"])
    monkeypatch.setattr(module, "scalar_interval", lambda *a, **b: module.Interval(9.0, 9.5))
    law = GammaRate(scale=5.5) if own else Laplace(scale=5.5)
    if own:
        assert "the verified interval is empty" in verified_run(law, dimension=1, **ONE).reason
    else:
        with pytest.raises(ArithmeticError):
            verified_run(law, dimension=1, **ONE)


@dataclass(frozen=True, kw_only=True)
class Tail(Noise):
    """P(|X| > x) = (1 + x / scale)^-power."""

    family: ClassVar[str] = "tail"
    scale: float
    power: float

    def log_density(self, x):
        return math.log(self.power / self.scale / 2) - (self.power + 1) * np.log1p(np.abs(x) / self.scale)

    def log_survival(self, x):
        return -self.power * np.log1p(np.maximum(x, 0.0) / self.scale)


def test_moments_of_a_heavy_tail_are_its_own_or_infinite():
    for power in (0.5, 1.0, 1.5, 2.0, 2.2, 5.0):
        law = Tail(scale=2.0, power=power)
        mean = 2.0 / (power - 1) if power > 1 else math.inf
        assert law.mean_abs == pytest.approx(mean, rel=1e-5)
        assert law.variance == pytest.approx(2 * 2.0 * mean / (power - 2) if power > 2 else math.inf, rel=1e-5)
    facts = lmodp.account(Plan(noise=Tail(scale=9.0, power=1.0), **ONE), dimension=1)["noise"]
    assert facts["noise_multiplier"] is None and facts["reason"] == "the variance is infinite: the tail is too heavy"


def test_unlike_phases_have_a_lower_end():
    releases = Releases(schedule=Schedule(noise=((0, 1.0), (2, 2.0))))
    found = verified_plan(Plan(noise=Cubic(scale=3.0), sampling_rate=0.1, steps=4, delta=1e-6, releases=releases))
    assert found.status == "unsupported" and 0 < found.lower < found.upper == math.inf
    assert "no bound is proven for this family" in found.reason


def test_a_users_law_beside_the_suites_methods_is_no_less_checked():
    """In a checkout the folder of methods is part of the package, and a user's own file is in it."""
    body = {"__module__": "lmodp.baselines.mine", "family": "mine", "__qualname__": "Mine"}
    with pytest.raises(InvalidValue, match="is a subclass of Gaussian, whose bounds are not its own"):
        type("Mine", (Gaussian,), body)
