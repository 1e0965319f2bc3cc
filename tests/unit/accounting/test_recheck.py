"""The checker of the recursion over the steps, on coarse lattices: it agrees with the producer and finds faults."""

from unittest import mock

import numpy as np
import pytest
from scipy.integrate import quad

from lmodp.accounting import verified
from lmodp.accounting.domination import budget, curve, files, recheck, recursion
from lmodp.accounting.pld.bounds import best_split_lower
from lmodp.cli import main
from lmodp.errors import DamagedFile
from lmodp.mechanisms import load_noise
from tests.unit.accounting.test_domination import COARSE, arrays, coarse, direction_laws

NOISE = load_noise("lmo-0.3")
RUN = {"sampling_rate": 0.03, "steps": 14, "delta": 1e-6}
QUESTION = ["account", "--noise", "lmo-0.3", "--sampling-rate", "0.03", "--steps", "14", "--delta", "1e-6", "--full"]
C, X = 0.1, 0.06


@pytest.fixture(scope="module")
def coarsely():
    """Every part of the producer on coarse lattices, and the domination."""
    single = coarse(NOISE)
    alike = {"dominate": lambda noise: single}
    with mock.patch.multiple(recursion, _CELL=1.02, _FINE={True: 7, False: 5}), mock.patch.multiple(budget, **COARSE):
        with mock.patch.multiple(curve, _BUDGETS=100, _WIDTH=0.06, _CELL=1.1, **alike):
            pair, step = recursion.smoothing.__wrapped__(NOISE), curve.step_curve.__wrapped__(NOISE)
        known = {"smoothing": lambda noise: pair, "step_curve": lambda noise: step}
        with (
            mock.patch.multiple(recursion, **known),
            mock.patch.multiple(files, BUDGETS=COARSE["BUDGETS"], FLOW_END=COARSE["FLOW_END"], **alike),
            mock.patch.object(verified, "_dominating", return_value=(single.at(1.0), "")),
        ):
            yield single, step
    for cached in (verified._full, recursion.over_steps):
        cached.cache_clear()


@pytest.fixture(scope="module")
def followed(coarsely):
    """A certificate, and the epsilon that the producer states."""
    epsilon, chosen = recursion.over_steps(NOISE, ceiling=0.15, **RUN)
    return {name: np.asarray(value) for name, value in (arrays(coarsely[0]) | chosen).items()}, epsilon


@pytest.fixture(scope="module")
def sticks(followed):
    return recheck._curve(NOISE, recheck._cuts(NOISE), followed[0])


def epsilon_of(certificate, sticks):
    """What the checker finds once the domination and x(c) are checked."""
    (c, x), found = certificate["smooth"], []
    with np.errstate(all="ignore"):
        for name in ("removal", "addition"):
            side = recheck._Side(name, certificate, RUN["sampling_rate"])
            found.append(side.epsilon(side.values(*sticks, c, x, RUN["steps"]), RUN["delta"]))
    return max(found)


def test_a_certificate_is_written_and_holds_and_a_smaller_epsilon_is_refused(coarsely, tmp_path, capsys):
    path = tmp_path / "certificate.npz"
    assert main([*QUESTION, "--certificate", str(path)]) == 0
    statement, noise, found = files.read_certificate(path)
    assert noise == NOISE and len(found["removal_variances"]) == len(found["addition_variances"]) == 13
    assert main(["recheck", str(path)]) == 0 and "14 steps hold" in capsys.readouterr().out
    less = {**statement, "epsilon": statement["epsilon"] * (1 - 1e-3)}
    read = mock.patch.object(files, "read_certificate", return_value=(less, noise, found))
    with read, mock.patch.object(recheck, "recheck_recursion", return_value=statement["epsilon"]):
        assert main(["recheck", str(path)]) == 2 and "the checker finds" in capsys.readouterr().err


def test_a_recursion_in_blocks_has_no_certificate(coarsely, tmp_path, capsys):
    recursion.over_steps.cache_clear()
    with mock.patch.object(recursion, "_BLOCK", 7):
        assert main([*QUESTION, "--certificate", str(tmp_path / "certificate.npz")]) == 2
    recursion.over_steps.cache_clear()
    assert "blocks of steps" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_independent_codes_agree(coarsely, followed, sticks):
    certificate, epsilon = followed
    step, found = coarsely[1], epsilon_of(certificate, sticks)
    lower = best_split_lower(NOISE, coordinates=10_000, **RUN)
    assert lower < found < epsilon  # it shares less of the same shapes
    assert (sticks[1] >= step.values * (1 - 1e-7)).all() and sticks[1] == pytest.approx(step.values, rel=1e-3)
    log_t = np.linspace(-4, 4, 81)
    assert recheck._log_stick(log_t, X) == pytest.approx(curve.gaussian_log_stick(np.exp(log_t), X), rel=1e-9)


@pytest.mark.parametrize("removal", [True, False])
def test_means_and_majorants_are_those_of_the_producer(coarsely, followed, removal):
    grid = recursion._grid(NOISE, RUN["sampling_rate"], RUN["steps"], 0.15, 1, RUN["delta"], removal)
    side = recheck._Side("removal" if removal else "addition", followed[0], RUN["sampling_rate"])
    with np.errstate(all="ignore"):
        first = grid.first(coarsely[1])
        mine, other = side.mean(first, np.exp(recheck._log_stick(np.log(side.r), X))), grid.extended(first)
        assert mine == pytest.approx(grid.mean(other, curve.GaussianStep(X)), rel=1e-8)
        log_r = np.log(grid.ratio(grid.places[1:]))
        log_p = recursion._smooth(grid, (1.5 * log_r - 20 * np.abs(log_r) ** 3)[None], C)
        smooth = recheck._smooth((1.5 * log_r - 20 * np.abs(log_r) ** 3)[:, None], log_r[:, None], grid.centre - 1, C)
        lower, slope, mean = recheck._majorant(smooth, np.exp(log_r)[:, None], grid.centre - 1, C, X)
        theirs = recursion._majorant(grid, log_p, C, X)
    assert lower[:, 0] == pytest.approx(theirs.lower[0], rel=1e-9, abs=1e-15)
    assert (slope[0], mean[0]) == pytest.approx((theirs.slope[0], theirs.mean[0]), rel=3e-9)


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [("table", (30, 10), r"table\[30, 10\]"), ("small", 5, "small"), ("smooth", 1, "x is less than what a coordinate")],
)
def test_planted_faults_are_found(followed, name, place, message):
    wrong = {**followed[0], name: followed[0][name].copy()}
    wrong[name][place] *= 1 - (3e-4 if name == "small" else 1e-4)
    without = mock.patch.object(recheck, "recheck", wraps=recheck.recheck if name != "smooth" else lambda *args: None)
    with without, pytest.raises(DamagedFile, match=message):
        recheck.recheck_recursion(NOISE, wrong, *RUN.values())


@pytest.mark.parametrize(
    ("name", "value"), [("addition_variances", 0.0), ("removal_variances", np.nan), ("removal_fine", 0)]
)
def test_numbers_that_must_be_positive_are(followed, sticks, name, value):
    wrong = {**followed[0], name: np.full_like(followed[0][name], value)}
    with pytest.raises(DamagedFile, match="must"):
        epsilon_of(wrong, sticks)


def test_a_damaged_shape_never_lowers_epsilon_below_what_there_is(followed, sticks):
    rng = np.random.default_rng(4)
    lower, tight = best_split_lower(NOISE, coordinates=10_000, **RUN), epsilon_of(followed[0], sticks)
    found = []
    for scale in (0.3, 3, 100):
        wrong = dict(followed[0])
        for side in ("removal", "addition"):
            for name, spread in (("variances", min(scale, 10)), ("bends", scale)):
                numbers = wrong[f"{side}_{name}"]
                wrong[f"{side}_{name}"] = numbers * np.exp(spread * rng.normal(size=numbers.shape))
        found.append(epsilon_of(wrong, sticks))
    assert lower < tight < max(found) / 1.01 and lower < min(found)


@pytest.mark.parametrize("removal", [True, False])
def test_a_bound_is_above_every_direction_and_near_the_worst(followed, removal):
    side = recheck._Side("removal" if removal else "addition", followed[0], RUN["sampling_rate"])
    variance, (c, x) = 5 * RUN["sampling_rate"] ** 2 * NOISE.fisher_information, followed[0]["smooth"]

    def u(z):  # as after some steps
        call = np.exp(recheck._log_stick(-np.abs(np.log(z)), variance))
        return np.where(z < 1, call, z * call + z - 1)

    counts = np.array([[100, 0, 0, 0], [0, 10, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1], [30, 3, 1, 0]])
    laws = np.array(direction_laws(NOISE, np.array([0.01, 0.1, 1 / 3, 1.0]), 1e-3, 2**13))
    loss = ((np.arange(2**13) + 2**12) % 2**13 - 2**12) * 1e-3
    values, means = u(side.z), []
    for row in counts:
        p = np.maximum(np.fft.irfft(np.prod(laws ** row[:, None], axis=0), 2**13), 0) * np.exp(-loss)
        at = p > 1e-15
        p, r = p[at] / p[at].sum(), np.exp(loss[at])
        w = 1 + RUN["sampling_rate"] * (r / (p @ r) - 1)
        f = u(side.z[:, None] * w) if removal else w * u(side.z[:, None] / w)
        means.append((f * p).sum(axis=1))
    worst, rows = np.max(means, axis=0), np.arange(len(side.z))
    shape = side.shape(values)
    with np.errstate(all="ignore"):
        found = [side.majorised(side.extended(values), rows, shape + bend[:, None], c, x) for bend in side.bends]
    found = np.nanmin(found, axis=0)
    assert (found >= worst * (1 - 1e-6)).all()
    middle = (side.z > 0.97) & (side.z < 1.02)
    assert (found[middle] <= 1.03 * worst[middle]).all()


def test_a_majorant_is_bounded_between_its_places_and_beyond_them():
    """On few places sag, tails and the tangent below the first place are large; without one of them it would fail."""
    r, centre = np.exp(np.linspace(-0.3, 0.3, 7))[:, None], 3
    log_r = np.log(r)
    log_p = recheck._smooth(1.0 * log_r - 3 * log_r**2, log_r, centre, C)
    lower, slope, mean = (found[..., 0] for found in recheck._majorant(log_p, r, centre, C, X))
    straight = (log_p + log_r**2 / (2 * C))[:, 0]
    ends = [np.diff(straight)[k] / np.diff(log_r[:, 0])[k] for k in (0, -1)]

    def second(t):
        at = np.log(t)
        inside = np.interp(at, log_r[:, 0], straight)
        beyond = ends[0] * min(at - log_r[0, 0], 0) + ends[1] * max(at - log_r[-1, 0], 0)
        return np.exp(inside + beyond - at**2 / (2 * C) - 1.5 * at)

    def integral(function, low, high):
        corners = [low, *(k for k in r[:, 0] if low < k < high), high]
        return sum(quad(function, a, b)[0] for a, b in zip(corners, corners[1:], strict=False))

    def value(at):
        low, high = sorted((at, 1.0))
        return integral(lambda t: abs(at - t) * second(t), low, high)

    def weighted(t):
        return second(t) * float(np.exp(recheck._log_stick(np.log(t), X)))

    inside, whole = integral(weighted, r[0, 0], r[-1, 0]), integral(weighted, 1e-3, 30.0)
    assert inside * 1.02 < whole <= mean <= 1.3 * whole
    exact, places = np.array([value(max(at, 1e-12)) for at in (0.0, *r[:, 0])]), np.append(0.0, r[:, 0])
    assert (lower <= exact).all() and slope <= integral(second, 1.0, r[-1, 0]) <= 1.02 * slope
    for k in range(len(places) - 1):
        between = value(places[k : k + 2].mean())
        assert lower[k : k + 2].mean() <= between < exact[k : k + 2].mean()  # chords of the values lie above
    assert lower[0] > lower[1] > 0


@pytest.mark.parametrize("removal", [True, False])
def test_a_majorant_that_is_flat_far_out_bounds_no_function_that_rises_more(followed, removal):
    grid = recursion._grid(NOISE, RUN["sampling_rate"], RUN["steps"], 0.15, 1, RUN["delta"], removal)
    side = recheck._Side("removal" if removal else "addition", followed[0], RUN["sampling_rate"])
    at, values = int(np.searchsorted(grid.states, 0)), np.maximum(grid.z - 1, 0)
    f, n = grid.function(grid.extended(values), grid.places), len(grid.states)
    flat = recursion._Majorant(np.zeros_like(f), np.full(n, 1e-290), np.full(n, 1e-300))
    with np.errstate(all="ignore"):
        assert not np.isfinite(recursion._least(grid, f, flat)[at])
        log_p = np.full((len(side.places) - 1, 1), -2000.0)
        assert not np.isfinite(side.majorised(side.extended(values), np.array([at]), log_p, C, X)).any()
