"""The recursion over the steps: the lemma on concrete directions, the majorants, and the ends of whole runs."""

from unittest import mock

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from lmodp.accounting import account_mechanism, verified_run
from lmodp.accounting.domination import curve, recursion
from lmodp.accounting.pld.bounds import best_split_lower
from lmodp.accounting.verified import narrowed
from lmodp.errors import Unsupported
from lmodp.mechanisms import Laplace, load_noise
from lmodp.plan import Plan
from tests.unit.accounting.test_domination import coarse, direction_laws

NOISE = load_noise("lmo-0.3")
RUNS = [
    {"sampling_rate": 1e-4, "steps": 6, "delta": 1e-8},
    {"sampling_rate": 0.03, "steps": 8, "delta": 1e-6},
    {"sampling_rate": 0.3, "steps": 4, "delta": 1e-5},
]


@pytest.fixture(scope="module")
def known():
    """c with x(c), and what dominates one step, in coarse cells."""
    with mock.patch.object(recursion, "_CELL", 1.02):
        pair = recursion.smoothing.__wrapped__(NOISE)
    return pair, coarse_curve()


def coarse_curve(**changes):
    single = coarse(NOISE)
    names = {"dominate": lambda noise: single, "_BUDGETS": 100, "_WIDTH": 0.06, "_CELL": 1.1, **changes}
    with mock.patch.multiple(curve, **names):
        return curve.step_curve.__wrapped__(NOISE)


@pytest.fixture
def cheap(known):
    pair, step = known
    names = {"smoothing": lambda noise: pair, "step_curve": lambda noise: step, "_FINE": {True: 7, False: 5}}
    with mock.patch.multiple(recursion, **names):
        yield
    recursion.over_steps.cache_clear()


@pytest.fixture(scope="module")
def directions():
    """Laws of the loss under Q of random directions of length at most 1."""
    rng = np.random.default_rng(2)
    step, length = 1e-3, 2**13
    squares = np.array([0.01, 0.04, 0.1, 0.3, 1.0])
    laws = np.array(direction_laws(NOISE, squares, step, length))
    losses = ((np.arange(length) + length // 2) % length - length // 2) * step
    found = []
    for _ in range(20):
        counts, left = np.zeros(len(squares)), 1.0
        for k in rng.permutation(len(squares)):
            counts[k] = rng.integers(0, int(left / squares[k] + 1e-9) + 1)
            left -= counts[k] * squares[k]
        counts[0] += int(left / squares[0] + 1e-9)
        q = np.fft.irfft(np.prod(laws ** counts[:, None], axis=0), length)
        there = q > 1e-15
        found.append((losses[there], q[there]))
    return found


def call(z, c):
    root = np.sqrt(c)
    return z * ndtr(np.log(z) / root + root / 2) - ndtr(np.log(z) / root - root / 2)


def test_a_smooth_function_of_any_direction_has_at_most_the_gaussians_mean(known, directions):
    z, (c, x) = np.exp(np.linspace(-4, 4, 33))[:, None], known[0]
    means = np.array([(q * np.exp(-loss) * call(z * np.exp(loss), c)).sum(axis=1) for loss, q in directions])
    assert (means <= call(z[:, 0], c + x) + 1e-9).all()
    assert (means > call(z[:, 0], c + 0.85 * x) + 1e-9).any()  # less than the Fisher information would not do


def test_x_falls_to_the_fisher_information_as_the_function_gets_smoother(known):
    with mock.patch.multiple(recursion, _CELL=1.02, _NEARLY=1.2):
        rough = recursion.smoothing.__wrapped__(NOISE)
    (c, x), information = known[0], NOISE.fisher_information
    assert rough[0] < c and information < x < 1.03 * information < rough[1] < known[1].gamma


def sticks_of(directions, kappa):
    """E(r - kappa)_+ of each direction, under P."""
    return np.array([np.maximum(q - np.exp(-loss) * kappa[:, None] * q, 0).sum(axis=1) for loss, q in directions])


def test_the_curve_of_a_step_lies_above_every_direction_and_not_far(known, directions):
    step = known[1]
    kappa = np.exp(np.linspace(0, 6, 40) * np.sqrt(NOISE.fisher_information))
    bound = np.exp(step.log_stick(kappa))
    found = sticks_of(directions, kappa)
    assert (found <= bound + 1e-12).all()
    assert 0.95 < (found.max(axis=0) / bound)[:4].min()  # near the kink; coarse cells cost more in the tail
    gaussian = np.exp(curve.gaussian_log_stick(kappa, step.gamma))
    assert (bound <= gaussian * (1 + 1e-9)).all() and bound[20] < 0.6 * gaussian[20]
    assert np.exp(step.log_stick(1 / kappa)) * kappa == pytest.approx(bound, rel=1e-9)  # r E(1/r - g)_+ = E(g - r)_+


def test_one_coordinate_is_spread_over_the_lattice_without_loss():
    law = curve._law(NOISE, 0.3, 0.01)
    loss = 0.01 * np.arange(len(law))
    assert law.min() >= 0 and law[0] + (law[1:] * (1 + np.exp(loss[1:]))).sum() == pytest.approx(1, abs=1e-12)
    y, shift = np.linspace(-80, 80, 400_001), np.sqrt(0.3)
    p, q = NOISE.density(abs(y)), NOISE.density(abs(y - shift))
    for level in (0.003, 0.03, 0.06):
        stick = np.trapezoid(np.maximum(q - np.exp(level) * p, 0), y)
        spread = (law * np.maximum(np.exp(loss) - np.exp(level), 0)).sum()
        assert stick <= spread <= 1.001 * stick


@pytest.mark.parametrize("fault", ["moved", "small", "law"])
def test_planted_faults_of_the_curve_fall_below_a_direction(known, directions, fault):
    cells, single = curve._cells, coarse(NOISE)
    law = curve._law
    less = mock.Mock(at=single.at, up_to=lambda square: 0.6 * single.up_to(square))
    wrong = {
        "moved": {"_cells": lambda: ([round(1.3 * moved) for moved in cells()[0]], cells()[1])},
        "small": {"dominate": lambda noise: less},
        "law": {"_law": lambda noise, square, width: law(noise, 0.8 * square, width)},
    }[fault]
    kappa = np.exp(np.linspace(0, 6, 40) * np.sqrt(NOISE.fisher_information))
    bound = np.exp(coarse_curve(**wrong).log_stick(kappa))
    assert (sticks_of(directions, kappa) > bound * (1 + 1e-6) + 1e-12).any()


@pytest.mark.parametrize("removal", [True, False])
def test_a_majorant_is_bounded_on_both_sides_by_its_integrals(removal):
    grid = recursion._grid(NOISE, 0.05, 4, 0.5, 1, 1e-6, removal)
    log_r, c, x = np.log(grid.ratio(grid.places[1:])), 0.1, 0.06
    bent = recursion._smooth(grid, (1.5 * log_r - 20 * np.abs(log_r) ** 3)[None], c)[0]  # too curved beyond |l| = 1/12
    assert (np.diff(np.diff(bent + log_r**2 / (2 * c)) / np.diff(log_r)) >= -1e-8).all()
    assert (bent >= 1.5 * log_r - 20 * np.abs(log_r) ** 3 - 1e-12).all()
    majorant = recursion._majorant(grid, bent[None], c, x)
    straight = bent + log_r**2 / (2 * c)

    def second(r):
        return np.exp(np.interp(np.log(r), log_r, straight) - np.log(r) ** 2 / (2 * c) - 1.5 * np.log(r))

    def stick(r):
        return float(np.exp(curve.gaussian_log_stick(np.array([r]), x))[0])

    edge = np.sqrt(x)
    parts = [np.exp(edge * np.array([k, k + 1])) for k in range(-8, 8)]
    mean = sum(quad(lambda r: second(r) * stick(r), *part, limit=200)[0] for part in parts)
    assert mean <= majorant.mean[0] <= 1.01 * mean
    for place in (grid.centre - 12, grid.centre + 3, grid.centre + 12):
        r = grid.ratio(grid.places[[place]])[0]
        value = quad(lambda t, r=r: (r - t) * second(t), 1.0, r, limit=200)[0]
        assert 0.97 * value <= majorant.lower[0, place] <= value
        middle = float(grid.ratio(grid.places[place : place + 2]).mean())
        between = quad(lambda t, r=middle: (r - t) * second(t), 1.0, middle, limit=200)[0]
        assert majorant.lower[0, place : place + 2].mean() <= between  # a convex function sags between places


@pytest.mark.parametrize("run", RUNS)
def test_the_upper_end_is_above_the_lower_and_near_it(cheap, run):
    lower = best_split_lower(NOISE, coordinates=10_000, **run)
    upper = recursion.over_steps(NOISE, ceiling=1.3 * lower, **run)[0]
    assert lower < upper < 1.15 * lower


@pytest.mark.parametrize("removal", [True, False])
def test_places_are_dense_enough_for_a_majorant_of_weak_noise(removal):
    """Phi'' = r^(-3/2) has Phi = 2 (1 - sqrt r)^2. Wide steps of log r near r = 0 once lost thousands of times Phi."""
    noise = Laplace(scale=25.0)
    grid = recursion._grid(noise, rate=0.03, steps=190, ceiling=0.1, blocks=1, delta=1e-10, removal=removal)
    c = 8 * noise.fisher_information
    one = recursion.replace(grid, states=grid.states[:1])
    found = recursion._majorant(one, np.zeros((1, len(grid.places) - 1)), c, noise.fisher_information)
    exact = 2 * (1 - np.sqrt(grid.ratio(grid.places))) ** 2
    far = np.abs(grid.places) >= 2 * grid.fine
    least = np.where(grid.places < grid.places[0] + 5, 0.35, 0.8)  # one place is a large part of r
    assert (found.lower[0] <= exact).all() and (found.lower[0] >= least * exact)[far].all()


def test_blocks_are_composed(cheap):
    run = {"sampling_rate": 0.01, "steps": 8, "delta": 1e-6}
    whole = recursion.over_steps(NOISE, ceiling=0.04, **run)[0]
    with mock.patch.object(recursion, "_BLOCK", 4):
        recursion.over_steps.cache_clear()
        blocks = recursion.over_steps(NOISE, ceiling=0.04, **run)[0]
    assert best_split_lower(NOISE, coordinates=10_000, **run) < min(whole, blocks) < max(whole, blocks) < 1.1 * whole


@pytest.mark.parametrize("fault", ["x", "above"])
def test_planted_faults_are_told_from_the_lower_end(cheap, known, fault):
    def below(grid, function, found):  # as if the majorant lay above f
        return function[:, grid.centre] + 0.1 * found.mean

    run = RUNS[0]
    pair, step = (known[0][0], 0.6 * known[0][1]), curve.GaussianStep(0.6 * known[1].gamma)
    step = mock.Mock(gamma=step.gamma, log_stick=step.log_stick, ends=(1,), width=1.0, values=())
    by_x = {"smoothing": lambda noise: pair, "step_curve": lambda noise: step}
    wrong = {"x": by_x, "above": {"_least": below}}[fault]
    lower = best_split_lower(NOISE, coordinates=10_000, **run)
    with mock.patch.multiple(recursion, _ENOUGH=-1.0, **wrong):
        recursion.over_steps.cache_clear()
        assert recursion.over_steps(NOISE, ceiling=1.3 * lower, **run)[0] < lower


def test_only_a_wide_full_answer_is_narrowed_and_the_record_says_by_what(cheap, known):
    run = RUNS[0]
    wide = verified_run(NOISE, **run)
    assert narrowed(wide, NOISE, **run) is wide  # a quick answer
    with mock.patch("lmodp.accounting.verified._dominating", return_value=(known[1].gamma, "")):
        verified = account_mechanism(Plan(noise=NOISE, **run), full=True)["verified"]
    assert verified["route"] == "recursion" and verified["answer"] == "full" and verified["order"] is None
    assert verified["lower"] < verified["upper"] < 1.2 * verified["lower"] < wide.upper


def test_what_the_recursion_does_not_cover_is_refused():
    with pytest.raises(Unsupported, match="sampled steps"):
        recursion.over_steps(NOISE, sampling_rate=1.0, steps=3, delta=1e-6, ceiling=1.0)
    with pytest.raises(Unsupported, match="states"):
        recursion.over_steps(NOISE, sampling_rate=1e-6, steps=3, delta=1e-6, ceiling=1.0)
    with pytest.raises(Unsupported, match="largest score"):
        recursion.over_steps(Laplace(scale=1e3), sampling_rate=0.5, steps=3, delta=1e-6, ceiling=1e-2)


@pytest.mark.parametrize("removal", [True, False])
def test_a_mean_of_chords_keeps_its_digits_far_below_the_kink(removal):
    """Differences of E(g - t)_+ near t = 0 lose the digits of what lies beyond four deviations."""
    grid, x = recursion._grid(NOISE, 0.3, 3, 2.0, 1, 1e-6, removal), 0.05
    with np.errstate(divide="ignore"):
        step = curve.GaussianStep(x)
        known = grid.extended(grid.first(step))
        found = grid.mean(known, step)
    places = np.arange(grid.places[0], 2 * grid.places[-1])
    f = grid.function(np.append(known, np.full(grid.places[-1], known[-1])), places)
    r, cdf = [mp.mpf(float(value)) for value in grid.ratio(places)], mp.ncdf

    def put(t):
        root = mp.sqrt(x)
        ends = (mp.log(t) / root + root / 2, mp.log(t) / root - root / 2)
        return t * cdf(ends[0]) - cdf(ends[1]) if t else mp.mpf(0)

    with mp.workdps(60):
        puts = [put(t) for t in r]
        slopes = [mp.mpf(0), *((b - a) / (t - s) for a, b, s, t in zip(puts, puts[1:], r, r[1:], strict=False))]
        mass = [b - a for a, b in zip(slopes, slopes[1:], strict=False)]
    for state in (-48, -40, -10, 5):
        row = int(np.searchsorted(grid.states, state))
        exact = float(sum(m * float(value) for m, value in zip(mass, f[row], strict=False)))
        assert exact <= found[row] <= exact * (1 + 1e-7), state
