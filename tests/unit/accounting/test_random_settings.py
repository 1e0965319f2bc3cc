"""300 random settings: the ends are in order, and a harder setting is not below an easier one.

A setting is a noise, a factor on it, a dimension and a run. It is harder than another of the same noise if its rate,
steps, delta, factor and dimension are all as hard or harder. Bounds of either are bounds of the other, whatever routes
gave them: the easier one's lower end lies below the harder one's upper end.
"""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cache
from unittest import mock

import numpy as np
import pytest

from lmodp.accounting import verified, verified_run
from lmodp.accounting.pld import bounds
from lmodp.accounting.rdp.supremum import RenyiCurve
from lmodp.mechanisms import (
    ExponentialPart,
    GammaPart,
    Gaussian,
    Laplace,
    LaplaceMixture,
    Noise,
    TruncatedNormalPart,
    UniformPart,
)
from tests.unit.accounting.test_domination import coarse

SEED = 3
FEW = (2, 3, 5, 8, 20)
KINDS = {"one": 0, "few": 1, "many": 2}  # of dimension
# Settings of each family and kind: a new noise costs up to seconds, a further run of it some hundredths.
COUNTS = {
    "gamma": (9, 0, 40),
    "exponential and uniform": (5, 0, 30),
    "lmo": (5, 0, 20),
    "truncated normal": (3, 0, 3),
    "laplace": (74, 2, 60),
    "gaussian": (5, 44, 0),
}
STRATA = [(family, kind) for family, counts in COUNTS.items() for kind in KINDS if counts[KINDS[kind]]]


def spread(rng, low, high):
    """A number between both, its logarithm uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def gamma(rng):
    return GammaPart(weight=spread(rng, 0.05, 3), shape=spread(rng, 0.3, 3000), scale=spread(rng, 0.05, 5))


def exponential(rng):
    return ExponentialPart(weight=spread(rng, 0.05, 3), rate=spread(rng, 0.1, 10))


def uniform(rng):
    low = float(rng.choice([0.0, spread(rng, 0.01, 8)]))
    return UniformPart(weight=spread(rng, 0.05, 3), low=low, high=low + spread(rng, 0.1, 5))


def truncated(rng):
    low = float(rng.choice([0.0, spread(rng, 0.01, 2)]))
    mean, std = float(rng.uniform(-1, 4)), spread(rng, 0.1, 3)
    return TruncatedNormalPart(weight=spread(rng, 0.05, 3), mean=mean, std=std, low=low, high=low + spread(rng, 0.1, 8))


FAMILIES = {
    "gamma": lambda rng: LaplaceMixture(gamma=gamma(rng)),
    "exponential and uniform": lambda rng: LaplaceMixture(exponential=exponential(rng), uniform=uniform(rng)),
    "lmo": lambda rng: LaplaceMixture(gamma=gamma(rng), exponential=exponential(rng), uniform=uniform(rng)),
    "truncated normal": lambda rng: LaplaceMixture(truncated_normal=truncated(rng)),
    "laplace": lambda rng: Laplace(scale=1.0),
    "gaussian": lambda rng: Gaussian(std=1.0),
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    noise: Noise
    dimension: int | None
    factor: float = 1.0
    sampling_rate: float
    steps: int
    delta: float

    def answer(self, **more):
        run = {name: getattr(self, name) for name in ("dimension", "sampling_rate", "steps", "delta")}
        return verified_run(self.noise.scaled(self.factor) if self.factor != 1 else self.noise, **run, **more)

    def hardness(self):
        dimension = self.dimension or math.inf
        return np.array([self.sampling_rate, self.steps, -self.delta, -self.factor, dimension])


def random_run(rng):
    """Rates 1e-6 to 1, steps 1 to 1e4, delta 1e-12 to 1e-3, but less than the chance that the example is used."""
    rate, steps = spread(rng, 1e-6, 1.0), round(spread(rng, 1, 1e4))
    return {"sampling_rate": rate, "steps": steps, "delta": spread(rng, 1e-12, min(1e-3, rate * steps / 3))}


def settings(family, kind):
    """Settings of the stratum: of a noise a random one, those harder in one respect and in all, and more runs."""
    rng = np.random.default_rng([SEED, list(FAMILIES).index(family), KINDS[kind]])
    found, count = [], COUNTS[family][KINDS[kind]]
    while len(found) < count:
        noise = FAMILIES[family](rng)
        noise = noise.scaled(spread(rng, 0.3, 50) * noise.fisher_information**0.5)
        dimension = {"one": 1, "few": int(rng.choice(FEW)), "many": None}[kind]
        easy = Setting(noise=noise, dimension=dimension, **random_run(rng))
        harder = {
            "sampling_rate": min(1.0, easy.sampling_rate * spread(rng, 1.1, 30)),
            "steps": easy.steps + round(spread(rng, 1, 2 * easy.steps)),
            "delta": easy.delta / spread(rng, 1.5, 1e3),
            "factor": spread(rng, 0.3, 0.9),
        }
        group = [easy, *(replace(easy, **{name: value}) for name, value in harder.items()), replace(easy, **harder)]
        if kind != "one":
            group.append(replace(easy, dimension=1))
        found += group + [replace(easy, **random_run(rng)) for _ in range(35)]
    return found[:count]


def pairs(group):
    """The (easier, harder) pairs of settings."""
    for one, other in itertools.permutations(group, 2):
        if one.noise == other.noise and one != other and (one.hardness() <= other.hardness()).all():
            yield one, other


@pytest.fixture
def uncached():
    """Answers of changed code are forgotten."""
    yield
    verified._quick.cache_clear()
    verified._full.cache_clear()


def check(group, answer=Setting.answer):
    answers = {each: answer(each) for each in group}
    for found in answers.values():
        assert 0 <= found.lower <= found.upper
        assert found.status == "ok" or found.reason
    both = [found for found in answers.values() if found.status == "ok" and (found.lower > 0 or found.upper == 0)]
    assert 6 * len(both) >= 5 * len(group)  # the others have a reason
    ordered = list(pairs(group))
    assert len(ordered) >= len(group) - 1
    for easier, harder in ordered:
        low, high = answers[easier], answers[harder]
        assert low.lower <= high.upper, (easier, harder)
        if low.route == high.route:
            assert high.upper >= low.upper * (1 - 1e-6), (easier, harder)
            assert high.lower >= low.lower * (1 - 2e-3) or easier.dimension != harder.dimension, (easier, harder)
    return answers


@pytest.mark.parametrize(("family", "kind"), STRATA)
def test_ends_are_in_order_and_monotone(family, kind):
    check(settings(family, kind))


def test_there_are_three_hundred():
    assert sum(map(sum, COUNTS.values())) == 300


@pytest.mark.parametrize(("family", "kind"), [("gamma", "many"), ("gaussian", "few")])
def test_full_answers_are_in_order_and_monotone_and_lie_within_the_quick_ones(family, kind, uncached):
    """On coarse cells, and with fewer coordinates below."""
    cheap = {"dominate": cache(coarse), "FULL_SPREAD": 300}
    with mock.patch.multiple(verified, **cheap), mock.patch.object(bounds, "_FEW", 4):
        answers = check(settings(family, kind)[:10], lambda each: each.answer(full=True))
    for setting, found in answers.items():
        quick = setting.answer()
        assert quick.lower <= found.lower <= found.upper <= quick.upper
    assert any(found.route in ("domination", "pld") for found in answers.values())


AT, RDP = RenyiCurve.at, verified.poisson_rdp
FAULTS = {
    "moments less a tenth": (RenyiCurve, "at", lambda curve, orders: 0.9 * AT(curve, orders)),
    "half the rate": (
        verified,
        "poisson_rdp",
        lambda sampling_rate, **more: RDP(sampling_rate=sampling_rate / 2, **more),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found(fault, monkeypatch, uncached):
    monkeypatch.setattr(*FAULTS[fault])
    verified._quick.cache_clear()
    with pytest.raises(ArithmeticError, match="empty"):
        check(settings("laplace", "one")[:20])


WRONG = {
    "sampling_rate": lambda rate: 1 - 0.9 * rate,
    "steps": lambda steps: max(10_000 // steps, 1),
    "delta": lambda delta: 1e-15 / delta,
    "factor": lambda factor: 1 / factor,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_taken_the_wrong_way_round_is_found(name):
    with pytest.raises(AssertionError, match="Setting"):
        check(
            settings("laplace", "one")[:6],
            lambda each: replace(each, **{name: WRONG[name](getattr(each, name))}).answer(),
        )
