"""One step dominated by a Gaussian: the criterion, the certificate and its checker, on coarse cells."""

from unittest import mock

import numpy as np
import pytest
from scipy.special import ndtr

from lmodp.accounting import verified_run
from lmodp.accounting.domination import budget, criterion, recheck, stick
from lmodp.accounting.domination.files import read_certificate, write_certificate
from lmodp.cli import main
from lmodp.errors import DamagedFile, Unsupported
from lmodp.mechanisms import GammaPart, Gaussian, Laplace, LaplaceMixture, load_noise
from tests.unit.mechanisms.mixtures import quantile

COARSE = {
    "_GIFT": 0.02,
    "SMALLEST": 1e-3,
    "FLOW_END": 0.02,
    "BUDGETS": 4000,
    "_squares": lambda: np.append(np.geomspace(1e-3, 1, 70)[:-1], 1.0),
}
STRONG, WEAK = load_noise("lmo-2"), load_noise("lmo-0.7")


def coarse(noise, **changes):
    with mock.patch.multiple(budget, **{**COARSE, **changes}):
        return budget.dominate.__wrapped__(noise)


def arrays(found):
    names = ("variances", "squares", "small", "table", "rates")
    numbers = {"flow_end": COARSE["FLOW_END"], "budgets": COARSE["BUDGETS"], "gamma": found.gamma[-1]}
    return {**{name: getattr(found, name).copy() for name in names}, **numbers}


@pytest.fixture(scope="module")
def strong():
    return coarse(STRONG)


@pytest.fixture(scope="module")
def weak():
    return coarse(WEAK)


def unit_rate(shape, fisher):
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=shape, scale=1))
    return noise.scaled(np.sqrt(noise.fisher_information / fisher))


def test_gamma_is_a_little_above_the_fisher_information_and_grows_with_the_budget(strong):
    assert 1.02 < strong.at(1.0) / STRONG.fisher_information < 1.15  # the gift, coarse cells
    assert (np.diff(strong.gamma) >= 0).all()
    assert strong.at(0.2500001) >= strong.at(0.25) > 0.25 * STRONG.fisher_information


def test_the_checker_agrees(strong, weak):
    for noise, found in ((STRONG, strong), (WEAK, weak)):
        assert recheck.recheck(noise, arrays(found)) == pytest.approx(found.at(1.0), rel=1e-9)


def planted(found, name, place, factor):
    changed = arrays(found)
    if place is None:
        changed[name] *= factor
    else:
        changed[name][place] *= factor
    return changed


@pytest.mark.parametrize(
    ("name", "place", "factor", "message"),
    [
        ("gamma", None, 1 - 1e-3, "gamma must be at least"),
        ("table", (30, 10), 1 - 1e-4, r"table\[30, 10\]"),
        ("table", (69 - 1, 0), 1 - 1e-4, r"table\[68, 0\]"),
        ("small", 5, 1 - 3e-4, r"small\[5\]"),
        ("rates", slice(None), 1 - 1e-3, "rates|flow"),
        ("rates", 4, 1.01, "must not increase"),
    ],
)
def test_the_checker_finds_planted_faults(strong, name, place, factor, message):
    few = planted(strong, name, place, factor)
    with pytest.raises(DamagedFile, match=message):
        recheck.recheck(STRONG, few)


def test_budgets_at_a_cells_upper_end_are_found(weak):
    def shifted(variances, squares, table, flowed):
        return ordered(variances, np.append(squares[1:], 1.01), table, flowed)

    ordered = budget._ordered
    wrong = coarse(WEAK, _ordered=shifted)
    assert wrong.at(1.0) < weak.at(1.0)
    with pytest.raises(DamagedFile, match="gamma must be at least"):
        recheck.recheck(WEAK, arrays(wrong))


def test_descending_order_gives_a_larger_variance(weak):
    ascending = recheck._gamma(arrays(weak), 1.0)
    with mock.patch.object(np, "flatnonzero", lambda kept: np.nonzero(kept)[0][::-1]):
        descending = recheck._gamma(arrays(weak), 1.0)
    assert descending[-1] > ascending[-1] * 1.001


@pytest.mark.parametrize(("shape", "square", "factor"), [(0.6, 0.03, 1.05), (0.1, 0.003, 2.0)])
def test_a_rate_whose_worst_place_is_elsewhere_is_not_judged_at_one(shape, square, factor):
    noise = unit_rate(shape, 2.25)
    c = np.array([1e-3 * 2.25])
    lines = stick.sticks(noise, np.sqrt([square]))
    at_one = criterion._solved(criterion._weighted(lines, criterion._weights(lines[0], c[0])), c[0])
    assert criterion.least_increase(lines, c, np.array([1e-6]))[0, 0] > factor * at_one[0]
    other = recheck._stick(noise, recheck._cuts(noise), np.sqrt(square))
    assert not recheck._holds(*other, c, at_one)[0]


def test_a_noise_that_does_not_pass_is_refused_and_the_record_says_so():
    with pytest.raises(Unsupported, match="does not pass"):
        coarse(unit_rate(0.02, 4.0))
    with pytest.raises(Unsupported, match="largest score"):
        budget.dominate(Laplace(scale=1000.0))
    found = verified_run(Laplace(scale=1000.0), sampling_rate=0.1, steps=3, delta=1e-6, full=True)
    assert found.route == "rdp" and "largest score" in found.left_out


@pytest.mark.parametrize("v", [0.01, 0.3, 1.0])
def test_sticks_of_laplace_noise_are_the_closed_form(v):
    s, h = (row[0] for row in stick.sticks(Laplace(scale=0.5), np.array([v])))
    exact = np.exp(-s / 2) - np.exp(-v)  # 1 - exp((s - v/b)/2), folded
    assert (h >= exact).all() and h == pytest.approx(exact, abs=2 * stick.RAISED * exact[0])
    other = recheck._stick(Laplace(scale=0.5), recheck._cuts(Laplace(scale=0.5)), v)
    exact = np.exp(-other[0] / 2) - np.exp(-v)
    assert (other[1] >= exact).all() and other[1] == pytest.approx(exact, abs=1e-4 * exact[0])


def test_the_least_increase_of_laplace_noise_is_least_and_grows_with_the_shift():
    # N(c) x P_v <= N(c + x) at z = 1 is 2 Phi(sqrt(c + x)/2) - 1 >= E B(r); here by Monte Carlo over the ratio
    noise, c, v = Laplace(scale=0.5), 0.2, 0.7
    x = quantile(noise, (np.arange(400_000) + 0.5) / 400_000)
    ratio = np.exp(np.clip((np.abs(x) - np.abs(x - v)) / 0.5, -v / 0.5, v / 0.5))  # under P
    root = np.sqrt(c)
    mean = np.mean(ratio * ndtr(np.log(ratio) / root + root / 2) - ndtr(np.log(ratio) / root - root / 2))
    unit = np.full(2, 1e-6)
    found = criterion.least_increase(stick.sticks(noise, np.array([v, 1.1 * v])), np.array([c, 2 * c]), unit)
    assert 2 * ndtr(np.sqrt(c + found[0, 0]) / 2) - 1 == pytest.approx(mean, rel=1e-4)
    assert found[0, 1] < found[0, 0] < found[1, 0]


def test_sticks_lie_above_the_definition_and_close():
    rng = np.random.default_rng(5)
    v = 0.6
    s, h = (row[0] for row in stick.sticks(STRONG, np.array([v])))
    x = quantile(STRONG, rng.uniform(size=400_000)) + v  # drawn from Q
    loss = STRONG.log_density(x - v) - STRONG.log_density(x)
    for k in (0, 30, 60):
        values = np.maximum(np.exp(-s[k] / 2) - np.exp(s[k] / 2 - loss), 0)
        assert h[k] == pytest.approx(values.mean(), abs=5 * values.std() / 630)


@pytest.mark.parametrize("noise", [STRONG, load_noise("lmo-0.3-as_drawn"), Laplace(scale=0.4)])
def test_small_shifts_lie_below_their_common_bound(noise):
    largest = 0.05
    t, bound = stick.small_sticks(noise, largest)
    for v in (0.05, 0.02, 0.005):
        s, h = (row[0] for row in stick.sticks(noise, np.array([v])))
        ends = [np.interp(s / v, t[k] / largest, bound[k] / largest) for k in (0, 1)]
        assert (h / v <= (1 - v / largest) * ends[0] + v / largest * ends[1] + 1e-9).all()


def direction_laws(noise, squares, step, length):
    """Fourier transforms of the laws of one coordinate's loss under Q, each mass shared by two lattice points."""
    found = []
    for v in np.sqrt(squares):
        y = np.concatenate([[0], np.geomspace(1e-6, 60, 3000)]) / noise.score_maximum
        x = np.unique(np.concatenate([-y, y + v, np.linspace(0, v, 200)]))

        def below(x):
            return np.where(x < 0, noise.survival(-x) / 2, 1 - noise.survival(x) / 2)

        p, q = np.diff(below(x)), np.diff(below(x - v))
        keep = (p > 1e-300) & (q > 1e-300)
        place = np.log(q[keep] / p[keep]) / step
        low = np.floor(place)
        law = np.zeros(length)
        np.add.at(law, low.astype(int) % length, q[keep] * (1 - (place - low)))
        np.add.at(law, (low.astype(int) + 1) % length, q[keep] * (place - low))
        found.append(np.fft.rfft(law / law.sum()))
    return found


def test_two_hundred_directions_are_dominated(strong):
    rng = np.random.default_rng(11)
    step, length = 2e-3, 2**15
    squares = np.array([1 / 300, 0.005, 0.01, 0.03, 0.07, 0.15, 0.3, 0.6, 1.0])
    laws = np.array(direction_laws(STRONG, squares, step, length))
    losses = (np.arange(length) + length // 2) % length - length // 2
    kappa = np.geomspace(1, np.exp(8), 30)
    tail = np.maximum(1 - kappa[:, None] * np.exp(-losses * step), 0)
    root = np.sqrt(kappa)
    enough, less = (
        root * criterion.gaussian_stick(np.log(kappa), np.array([x]))[0]
        for x in (strong.at(1.0), 0.93 * STRONG.fisher_information)
    )
    violations = 0
    for _ in range(200):
        counts, left = np.zeros(len(squares)), 1.0
        for k in rng.permutation(len(squares)):
            counts[k] = rng.integers(0, int(left / squares[k] + 1e-9) + 1)
            left -= counts[k] * squares[k]
        counts[0] += int(left / squares[0] + 1e-9)
        found = tail @ np.fft.irfft(np.prod(laws ** counts[:, None], axis=0), length)
        assert (found <= enough + 1e-9).all()
        violations += bool((found > less + 1e-9).any())
    assert violations  # so a variance 7 % below the Fisher information would not pass


def test_a_certificate_survives_its_file_and_a_stranger_is_refused(tmp_path, strong, capsys):
    path = tmp_path / "certificate.npz"
    run = {"sampling_rate": 0.03, "steps": 10, "delta": 1e-9}
    epsilon = verified_run(Gaussian(std=strong.at(1.0) ** -0.5), full=True, **run).upper
    names = "lmodp.accounting.domination.files"
    with mock.patch(f"{names}.dominate", return_value=strong), mock.patch.multiple(names, BUDGETS=4000, FLOW_END=0.02):
        write_certificate(path, STRONG, run=run, epsilon=epsilon)
        write_certificate(tmp_path / "less.npz", STRONG, run=run, epsilon=0.99 * epsilon)
    statement, noise, found = read_certificate(path)
    assert statement["epsilon"] == epsilon and noise == STRONG
    assert (found["table"] == strong.table).all() and found["gamma"] == strong.at(1.0)
    assert main(["recheck", str(path)]) == 0 and "entries hold" in capsys.readouterr().out
    assert (
        main(["recheck", str(tmp_path / "less.npz")]) == 2 and "the accounting library finds" in capsys.readouterr().err
    )
    assert main(["recheck", str(tmp_path / "none.npz")]) == 2 and "is not there" in capsys.readouterr().err
    with np.load(path) as archive:
        whole = dict(archive)
    for name in sorted(whole):  # a file that lost one of its arrays, or holds a single number in its place
        for left in ({}, {name: np.array(3)}):
            np.savez(path, **{key: value for key, value in whole.items() if key != name}, **left)
            if name in ("budgets", "flow_end", "gamma") and left:
                continue  # single numbers as they should be
            assert main(["recheck", str(path)]) == 2, name
            assert "certificate" in capsys.readouterr().err, name
    np.savez(path, **whole)
    path.write_bytes(path.read_bytes()[:2000])
    assert main(["recheck", str(path)]) == 2 and "not a domination certificate" in capsys.readouterr().err
    path.write_bytes(b"no archive")
    with pytest.raises(DamagedFile, match="not a domination certificate"):
        read_certificate(path)


def test_only_the_domination_has_a_certificate(tmp_path, capsys):
    question = ["account", "--noise", "lmo-2", "--sampling-rate", "0.1", "--steps", "3", "--delta", "1e-5"]
    assert main([*question, "--certificate", str(tmp_path / "certificate.npz")]) == 2
    assert "by the route 'rdp'" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("run", [{"sampling_rate": 0.03, "steps": 192, "delta": 1e-10}])
def test_the_gaussian_through_the_same_door_is_exact(run):
    found = verified_run(Gaussian(std=0.6), full=True, **run)
    assert found.upper < found.lower * 1.001 and found.route == "pld" and found.answer == "full"
    quick = verified_run(Gaussian(std=0.6), **run)
    assert quick.upper > found.upper and quick.answer == "quick" and "Gaussian" in quick.left_out
