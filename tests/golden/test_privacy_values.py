"""Published and computed privacy numbers, each with its source.

Sources: "paper" is arXiv 2405.18776 or the file named; "code" the public experiment code of LMO-DP,
recomputed; "suite" a value of the suite's own mathematics that a second implementation found too.
"""

import math

import pytest

from lmodp.accounting import (
    claimed_run,
    claimed_step,
    lap2_epsilon,
    lap2_scale,
    paper_bound_run,
    paper_bound_step,
    plrv_o_epsilon,
    pure_scalar,
    scale_to_target,
    verified_run,
)
from lmodp.mechanisms import PUBLISHED, GammaPart, Gaussian, LaplaceMixture, load_noise
from lmodp.search import find_noise

DELTA = 1e-10
RUN = {"sampling_rate": 2048 / 67349, "steps": 192, "delta": DELTA}
AXIS = ("lmo-0.3", "lmo-0.7", "lmo-2", "lmo-3")


def test_claimed_step_of_0_3():
    """Code: order 128, where the MGF is infinite (largest valid order 20)."""
    found = claimed_step(load_noise("lmo-0.3"), delta=DELTA)
    assert found.epsilon == pytest.approx(0.2932127545, abs=5e-11)
    assert (found.order, found.order_in_domain) == (128, False)


def test_claimed_step_of_setting_5():
    found = claimed_step(load_noise("lmo-5"), delta=DELTA)
    assert found.epsilon == pytest.approx(4.921456706, abs=5e-10)
    assert found.order == 128


def test_claimed_run_of_0_3():
    """Code: 0.1564 from the computed, 0.1574 from the published step epsilon, N = 67,350."""
    run = {"sampling_rate": 2048 / 67350, "steps": 192, "delta": DELTA}
    assert claimed_run(claimed_step(load_noise("lmo-0.3"), delta=DELTA).epsilon, **run) == pytest.approx(
        0.1564, abs=5e-5
    )
    assert claimed_run(0.3, **run) == pytest.approx(0.1574, abs=5e-5)


@pytest.mark.parametrize(
    ("size", "steps", "computed", "published"),
    [
        (67350, 192, (0.156, 0.258, 0.789, 1.345), (0.157, 0.261, 0.823, 1.347)),
        (104744, 306, (0.149, 0.215, 0.627, 1.059), (0.150, 0.217, 0.654, 1.061)),
        (392703, 1146, (0.139, 0.156, 0.309, 0.535), (0.139, 0.157, 0.322, 0.536)),
        (363847, 1062, (0.139, 0.158, 0.322, 0.554), (0.139, 0.158, 0.335, 0.555)),
    ],
    ids=["SST-2", "QNLI", "MNLI", "QQP"],
)
def test_claimed_runs_of_the_classification_tasks(size, steps, computed, published):
    """Code; the computed MNLI-m and QQP rows are the axes of the paper's figures.

    Within 0.6 of the last digit: QNLI's published 3 is 1.0605 here, and 1.061 in the list of published facts.
    """
    run = {"sampling_rate": 2048 / size, "steps": steps, "delta": DELTA}
    for name, expected, from_published in zip(AXIS, computed, published, strict=True):
        step = claimed_step(PUBLISHED[name].noise, delta=DELTA).epsilon
        assert claimed_run(step, **run) == pytest.approx(expected, abs=6e-4), name
        assert claimed_run(PUBLISHED[name].published_epsilon_step, **run) == pytest.approx(from_published, abs=6e-4), (
            name
        )


@pytest.mark.parametrize(
    ("batch", "expected"), [(16, (0.046, 0.046, 0.068, 0.176)), (1024, (0.106, 0.267, 0.891, 1.522))]
)
def test_claimed_runs_of_e2e(batch, expected):
    """Code, from the published step epsilon, delta 8e-6: accounted with batch 16, trained with 1,024."""
    run = {"sampling_rate": batch / 42061, "steps": 410, "delta": 8e-6}
    for name, value in zip(AXIS, expected, strict=True):
        assert claimed_run(PUBLISHED[name].published_epsilon_step, **run) == pytest.approx(value, abs=5.1e-4)


@pytest.mark.parametrize(("step_epsilon", "sigma"), [(0.3, 22.730), (0.7, 9.741), (2, 3.409), (3, 2.273)])
def test_classic_gaussians_of_the_comparison(step_epsilon, sigma):
    """Code: sigma = sqrt(2 ln(1.25/delta)) / epsilon."""
    noise = scale_to_target("gaussian", accountant="claimed", epsilon=step_epsilon, delta=DELTA)
    assert noise.std == pytest.approx(sigma, abs=5e-4)


def test_paper_bound_of_0_3_and_of_setting_5():
    found = paper_bound_step(load_noise("lmo-0.3"), delta=DELTA)
    assert (found.epsilon, found.order) == (pytest.approx(1.3082973729, abs=5e-11), 20)
    found = paper_bound_step(load_noise("lmo-5"), delta=DELTA)
    assert (found.epsilon, found.order) == (pytest.approx(29.4933, abs=5e-5), 2)


@pytest.mark.parametrize(
    ("name", "epsilon"),
    [
        ("lmo-0.3", 0.234704),
        ("lmo-0.7", 0.6240),
        ("lmo-2", 1.7216),
        ("lmo-3", 2.4620),
        ("lmo-5", 5.867),
        ("usefulness-0.3", 1.889),
        ("usefulness-0.7", 2.167),
        ("usefulness-2", 3.154),
        ("usefulness-3", 4.069),
    ],
)
def test_pure_scalar(name, epsilon):
    """ln(M'(0)/M'(-1)); the first confirmed to 0.23470428927008 in arbitrary precision (tests/oracles)."""
    digits = 5.1e-7 if name == "lmo-0.3" else 5.1e-4
    assert pure_scalar(load_noise(name)).epsilon == pytest.approx(epsilon, abs=digits)


@pytest.mark.parametrize(
    ("name", "claim_holds"),
    [
        *[(name, True) for name in AXIS],
        *[(f"figure6-{step / 10:g}", True) for step in range(2, 11)],
        ("lmo-5", False),
        *[(f"usefulness-{target}", False) for target in ("0.3", "0.7", "2", "3")],
    ],
)
def test_whether_the_claimed_step_is_true_of_one_number(name, claim_holds):
    noise = load_noise(name)
    assert (pure_scalar(noise).epsilon <= claimed_step(noise, delta=DELTA).epsilon) is claim_holds


def test_usefulness_setting_0_3():
    noise = load_noise("usefulness-0.3")
    assert claimed_step(noise, delta=DELTA).epsilon == pytest.approx(0.2367788, abs=5e-8)
    assert paper_bound_step(noise, delta=DELTA).epsilon == pytest.approx(25.07, abs=5e-3)
    assert noise.usefulness(0.9) == pytest.approx(0.711714, abs=5e-7)


def test_moments_of_0_3():
    noise = load_noise("lmo-0.3")
    assert noise.std == pytest.approx(7.124, abs=5e-4)
    assert noise.mean_abs == pytest.approx(4.874, abs=5e-4)
    assert noise.fisher_information == pytest.approx(0.0486026, abs=5e-8)
    assert noise.sigma_effective == pytest.approx(4.53597, abs=5e-6)
    assert noise.efficiency == pytest.approx(0.4054, abs=5e-5)


def test_verified_0_3_in_many_dimensions():
    found = verified_run(load_noise("lmo-0.3"), **RUN)
    assert found.upper == pytest.approx(0.5953, abs=1.1e-4)
    assert found.order == pytest.approx(60, abs=0.5) and found.worst_shift == 0
    assert found.lower == pytest.approx(0.5636, abs=1.1e-4)
    assert found.gaussian_limit == pytest.approx(0.5646, abs=5.1e-5)
    assert (found.upper - found.lower) / found.upper < 0.06


def test_verified_0_3_in_one_dimension():
    """0.5127 to 0.5129, attained by removal; addition gives 0.4965."""
    from lmodp.accounting.pld.bounds import scalar_interval

    removal = scalar_interval(load_noise("lmo-0.3"), **RUN)
    assert 0.5127 <= removal.lower <= removal.upper <= 0.5129
    addition = scalar_interval(load_noise("lmo-0.3"), removal=False, **RUN)
    assert addition.lower <= addition.upper
    assert addition.upper == pytest.approx(0.4965, abs=5.1e-5)


def test_verified_0_3_as_drawn():
    noise = load_noise("lmo-0.3-as_drawn")
    assert noise.fisher_information == pytest.approx(0.53865, abs=5e-6)
    assert noise.sigma_effective == pytest.approx(1.36253, abs=5e-6)
    found = verified_run(noise, **RUN)
    assert found.gaussian_limit == pytest.approx(2.7104, abs=1.1e-4)
    assert found.upper == pytest.approx(2.9493, abs=1e-4)  # whole orders alone give 2.9496


def test_the_gaussian_that_the_published_comparison_pairs_with_0_3():
    found = verified_run(Gaussian(std=22.73), **RUN)
    assert 0.101 < found.lower < found.gaussian_limit < found.upper < 0.107


@pytest.mark.parametrize(("target", "epsilon"), [(0.7, 0.693588), (2, 1.998924), (3, 2.994898)])
def test_published_search_for_the_largest_epsilon(target, epsilon):
    found = find_noise("published", accountant="claimed", objective="epsilon", epsilon=target, delta=DELTA)
    assert found.epsilon == pytest.approx(epsilon, abs=5e-7)


def test_published_search_returns_noise_0_3_uniquely():
    found = find_noise("published", accountant="claimed", objective="epsilon", epsilon=0.3, delta=DELTA)
    assert found.noise == load_noise("lmo-0.3")
    assert (found.points, found.valid) == (40824, 11088)
    assert (found.trace["epsilon"] == found.epsilon).sum() == 1
    assert found.epsilon == claimed_step(found.noise, delta=DELTA).epsilon


def test_published_search_for_usefulness():
    found = find_noise("published", accountant="claimed", objective="usefulness", epsilon=0.3, delta=DELTA, gamma=0.9)
    assert found.noise == load_noise("usefulness-0.3")
    assert found.value == pytest.approx(0.711714, abs=5e-7)
    assert found.epsilon == pytest.approx(0.2367788, abs=5e-8)


def test_figure_6_settings_are_answers_of_the_search():
    """ "0.2" is its answer; "4" is at the maximum below 4, one of four ties."""
    found = find_noise("published", accountant="claimed", objective="epsilon", epsilon=0.2, delta=DELTA)
    assert found.noise == load_noise("figure6-0.2")
    found = find_noise("published", accountant="claimed", objective="epsilon", epsilon=4, delta=DELTA)
    assert found.epsilon == claimed_step(load_noise("figure6-4"), delta=DELTA).epsilon
    assert (found.trace["epsilon"] == found.epsilon).sum() == 4


def test_no_point_of_the_published_space_has_a_paper_bound_epsilon_below_one():
    found = find_noise("published", accountant="paper_bound", objective="epsilon", epsilon=1e9, delta=DELTA)
    assert found.trace["epsilon"].min() == pytest.approx(1.20838, abs=5e-6)
    assert sum(math.isinf(value) for value in found.trace["epsilon"]) == 29736


def test_plrv_o_check():
    """Code of PLRV-O: 1.0044 at lambda = 17 (recorded as 1.0)."""
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=81.3, scale=0.025760518))
    found = plrv_o_epsilon(noise, coordinates=26_000, sampling_rate=0.04, steps=250, delta=1e-5, clip_norm=0.1)
    assert found.epsilon == pytest.approx(1.0044, abs=5e-5)
    assert found.order == 17


def test_lap2_scale_written_out():
    """arXiv 2602.23516, its script."""
    harmonic = sum(1 / i for i in range(1, 1001))
    phi = (math.sqrt(1.2 + math.log(1e5)) - math.sqrt(math.log(1e5))) ** 2
    kind = {"delta": 1e-5, "sampling_rate": 0.01, "epochs": 3.0}
    scale = lap2_scale(epsilon=1.2, coordinates=1000, clip_norm=0.7, **kind)
    assert scale == pytest.approx(0.7 * math.sqrt(3 * 0.01 * harmonic / (8 * phi)), rel=1e-12)
    assert lap2_epsilon(scale=scale, coordinates=1000, clip_norm=0.7, **kind) == pytest.approx(1.2, rel=1e-12)


@pytest.mark.parametrize(("steps", "ratio"), [(1, 0.24), (16, 0.95), (1024, 1.4)])
def test_where_a_laplace_beats_a_gaussian_on_scalars(steps, ratio):
    """No sampling, epsilon = 1, delta = 1e-10: about a quarter at T = 1, about equal at 16, 1.4 times at 1,024."""
    target = {"accountant": "verified", "epsilon": 1.0, "delta": DELTA, "steps": steps, "dimension": 1}
    found = scale_to_target("laplace", **target).std / scale_to_target("gaussian", **target).std
    assert found == pytest.approx(ratio, rel=0.05)


def test_paper_bound_run_of_0_3_is_above_its_claimed_run():
    noise = load_noise("lmo-0.3")
    total = paper_bound_run(noise, **RUN)
    assert total.status == "ok"
    assert total.epsilon > 5 * claimed_run(claimed_step(noise, delta=DELTA).epsilon, **RUN)


def test_the_full_interval_at_large_epsilon_is_half_a_per_cent_wide():
    # The Gaussian of the same sigma_effective has 19.291: docs/verified_bounds.md, "A step is dominated by a Gaussian"
    found = verified_run(load_noise("lmo-2"), full=True, **RUN)
    assert 19.25 < found.lower < found.upper < 19.35 and found.upper / found.lower < 1.005
    assert (found.route, found.answer, found.left_out) == ("domination", "full", "")
