"""The noise that few numbers need: programmes, the kept table, and releases."""

import math

import numpy as np
import pytest

from lmodp.accounting.verified import pure_run, verified_run
from lmodp.errors import InvalidValue, Unsupported
from lmodp.mechanisms import Histogram, Laplace, Spherical, load_noise, noise_from_dict
from lmodp.reporting.figures.wins import sentences
from lmodp.search.best_scalar import best_single
from lmodp.search.few_numbers import COLUMNS, DELTAS, NOISES, NUMBERS, RELEASES, release, row, table


@pytest.fixture(scope="module")
def needed():
    return {(each["noise"], each["numbers"], each["releases"], each["delta"]): each for each in table()}


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_the_programme_finds_the_staircase(epsilon):
    """Geng and Viswanath's closed form; the width of the first stair is tried on the programme's own bins."""
    found, b = best_single(epsilon=epsilon, delta=0.0), math.exp(-epsilon)

    def variance(stair):
        high, low = stair**3, 1 - stair**3
        k = np.arange(2000.0)
        moments = lambda a, c: ((k + c) ** 3 - (k + a) ** 3) / 3  # noqa: E731
        weights = b**k
        mass = (weights * (stair + b * (1 - stair))).sum()
        assert high + low == 1
        return float((weights * (moments(0, stair) + b * moments(stair, 1))).sum() / mass)

    bins = round(1 / found.width)
    best = min(variance(stair / bins) for stair in range(1, bins + 1))
    assert found.variance == pytest.approx(best, rel=1e-4)
    assert pure_run(found, sampling_rate=1.0, steps=1, dimension=1) <= epsilon
    assert found.std < math.sqrt(2) / epsilon


def test_a_little_delta_cuts_the_tail_and_is_certified():
    pure, cut = (best_single(epsilon=1.0, delta=delta) for delta in (0.0, 1e-3))
    assert cut.std < 0.99 * pure.std
    run = {"sampling_rate": 1.0, "steps": 1, "delta": 1e-3}
    assert verified_run(cut, dimension=1, **run).upper == pytest.approx(1, rel=1e-3)


def test_where_delta_is_above_epsilon_the_best_noise_is_about_uniform_and_certified():
    law = noise_from_dict(release([0.0], sensitivity=1.0, epsilon=1e-3, delta=1e-2)["noise"])
    assert isinstance(law, Histogram) and 0.9 < law.std * 1e-2 * math.sqrt(12) < 1, "uniform noise has 1/delta"
    gaussian = NOISES["gaussian"](1, {"sampling_rate": 1.0, "steps": 1, "delta": 1e-2}, 1e-3)
    assert law.std < 0.75 * gaussian.std


def test_pure_epsilon_of_several_numbers_is_that_of_the_even_split():
    run = {"sampling_rate": 1.0, "steps": 3}
    assert pure_run(Laplace(scale=2.0), dimension=4, **run) == pytest.approx(3.0)
    noise = load_noise("lmo-0.3")
    draw = np.random.default_rng(3)
    even = pure_run(noise, dimension=5, **run)
    for _ in range(50):
        v = np.abs(draw.standard_normal(5))
        v /= np.linalg.norm(v)
        assert 3 * float(np.sum(noise.log_density(0.0) - noise.log_density(v))) <= even
    assert pure_run(noise, dimension=None, **run) == math.inf
    assert pure_run(Spherical(dimension=9, power=1.0, scale=2.0), dimension=None, **run) == pytest.approx(1.5)
    sampled = pure_run(Laplace(scale=1.0), sampling_rate=0.1, steps=1, dimension=1)
    assert sampled == pytest.approx(math.log1p(0.1 * math.expm1(1.0)))


def test_the_table_is_whole_and_says_what_was_expected(needed):
    assert len(needed) == len(table()) == len(DELTAS) * len(RELEASES) * len(NUMBERS) * len(NOISES)
    assert all(tuple(each) == COLUMNS for each in table())
    ratios = [
        needed["laplace", 1, times, 1e-10]["noise_multiplier"] / needed["gaussian", 1, times, 1e-10]["noise_multiplier"]
        for times in (1, 16, 1000)
    ]
    assert ratios[0] == pytest.approx(0.24, abs=0.005)
    assert ratios[1] == pytest.approx(0.96, abs=0.01)
    assert 1.3 < ratios[2] <= math.sqrt(2)
    assert all(
        needed["gaussian", count, times, 0.0]["status"] == "unsupported" for count in NUMBERS for times in RELEASES
    )
    for (name, *where), each in needed.items():
        best, one = needed["spherical", *where], needed["laplace", *where]
        if name == "spherical" and where[0] == 1:  # the best noise of all is the limit
            others = [needed[other, *where]["noise_multiplier"] for other in NOISES]
            assert best["noise_multiplier"] <= min(value for value in others if value) * (1 + 1e-5)
        elif name == "lmo" and each["noise_multiplier"]:
            assert each["noise_multiplier"] > one["noise_multiplier"] * 0.99


@pytest.mark.parametrize(
    ("name", "numbers", "releases", "delta"),
    [("gaussian", 1, 16, 1e-10), ("laplace", 1, 16, 1e-10), ("lmo", 2, 4, 0.0), ("spherical", 2, 1, 1e-10)],
)
def test_rows_of_the_table_are_computed_again(needed, name, numbers, releases, delta):
    kept, found = needed[name, numbers, releases, delta], row(name, numbers=numbers, releases=releases, delta=delta)
    assert found["noise_multiplier"] == pytest.approx(kept["noise_multiplier"], rel=2e-4)
    assert {**found, "noise_multiplier": None} == {**kept, "noise_multiplier": None}


def test_sentences_are_made_from_the_table(needed):
    values = {key: each["noise_multiplier"] for key, each in needed.items()}
    told = " ".join(sentences(values))
    assert "0.241 times at 1" in told
    assert "872 test sentences" in told
    assert sentences({**values, ("laplace", 1, 1, 1e-10): 2 * values["laplace", 1, 1, 1e-10]}) != sentences(values)


def test_no_noise_beyond_the_scales_that_are_tried_is_taken_for_private(monkeypatch):
    """The end of the search is no proof: what is drawn is within the target, or nothing is."""
    found = release([1.0], sensitivity=1.0, epsilon=1e-4, releases=10**9)  # of LMO noise the end would be 1.6e-4
    assert found["certificate"]["upper"] <= 1e-4
    monkeypatch.setattr("lmodp.search.few_numbers.secrets", None)  # nothing may be drawn
    with pytest.raises(Unsupported, match="no noise has a proof"):
        release([1.0], sensitivity=1.0, epsilon=1e-14)


@pytest.mark.parametrize("value", [1e17, -1e300, 1.7e308])
def test_a_value_beside_which_the_noise_is_lost_is_not_released(value):
    with pytest.raises(InvalidValue, match="cannot hold the noise"):
        release([1.0, value], sensitivity=1.0, epsilon=1.0)


@pytest.mark.parametrize("target", [{"epsilon": 200.0}, {"epsilon": 1000.0, "delta": 1e-6}])
def test_of_a_large_epsilon_no_programme_is_asked(target):
    assert release([1.0], sensitivity=1.0, **target)["certificate"]["upper"] <= target["epsilon"]


def test_a_release_has_the_noise_it_says():
    found = [release([3.0, 4.0], sensitivity=0.5, epsilon=1.0) for _ in range(40)]
    noise = noise_from_dict(found[0]["noise"])
    assert (noise.family, noise.power) == ("spherical", 1.0)
    assert noise.std == pytest.approx(0.5 * math.sqrt(3))
    assert found[0]["certificate"]["upper"] == pytest.approx(1.0)
    drawn = np.array([each["released"] for each in found]) - [3.0, 4.0]
    assert np.mean(np.abs(drawn)) == pytest.approx(noise.mean_abs, rel=0.4)
    assert len({tuple(each["released"]) for each in found}) == 40
    single = release([0.9], sensitivity=2.0, epsilon=1.0, delta=1e-6)
    assert isinstance(noise_from_dict(single["noise"]), Histogram)
    assert single["noise_std"] < single["others"]["laplace"] < single["others"]["gaussian"]
    assert single["certificate"]["lower"] < single["certificate"]["upper"] <= 1.0
