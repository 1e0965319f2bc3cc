"""The certificate: its keys, its JSON, its units and its reasons."""

import json
import math

import pytest

from lmodp.accounting import certificate_of
from lmodp.accounting.certificate import plain
from lmodp.errors import InvalidValue
from lmodp.mechanisms import GammaPart, Gaussian, Laplace, LaplaceMixture, load_noise
from lmodp.plan import Plan

REQUIRED = {
    "claimed": {"epsilon_step", "order", "order_in_domain", "sigma_classic", "epsilon_run", "published_epsilon_run"},
    "paper_bound": {"epsilon_step", "order", "epsilon_run", "status"},
    "verified": {
        "sigma_effective",
        "worst_shift",
        "lower",
        "gaussian_limit",
        "upper",
        "mu",
        "zcdp",
    },
    "noise": {"noise_multiplier", "mean_abs", "fisher_information", "efficiency"},
}


def plan(noise, **changes):
    return Plan(**{"noise": noise, "sampling_rate": 0.05, "steps": 40, "delta": 1e-9, **changes})


@pytest.mark.parametrize(
    "noise",
    [
        load_noise("lmo-0.3"),
        load_noise("usefulness-0.3"),
        Gaussian(std=4),
        Laplace(scale=3),
        LaplaceMixture(gamma=GammaPart(weight=1, shape=0.5, scale=2)),
        LaplaceMixture(gamma=GammaPart(weight=1, shape=4e-23, scale=1)),  # hardly any mass within 1e20
    ],
)
def test_every_certificate_has_the_keys_and_is_strict_json(noise):
    found = certificate_of(plan(noise))
    for section, keys in REQUIRED.items():
        assert keys <= set(found[section]), section
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for section in ("claimed", "paper_bound", "pure_scalar", "verified", "noise"):
        assert found[section]["status"] in {"ok", "infinite", "unsupported"}
        assert bool(found[section]["reason"]) == (found[section]["status"] != "ok"), section


def test_the_plan_and_its_adjacency_are_written():
    found = certificate_of(plan(load_noise("lmo-0.3"), clip_norm=0.3, noise_scale=1.0), dimension=5000)
    assert found["plan"] == {
        "sampling_rate": 0.05,
        "steps": 40,
        "delta": 1e-9,
        "relative_sensitivity": 0.3,
        "dimension": 5000,
        "adjacency": "add_or_remove_one",
        "sampler": "poisson",
        "privacy_unit": "example",
        "releases_per_step": 1,
        "noise_schedule": "constant",
    }
    assert found["at_1e-5"]["delta"] == 1e-5
    assert found["at_1e-5"]["verified"]["upper"] < found["verified"]["upper"]


def test_sensitivity_and_noise_scale_together():
    """Noise three times as large at three times the sensitivity is the same mechanism."""
    noise = load_noise("lmo-0.7")
    one = certificate_of(plan(noise))
    three = certificate_of(plan(noise.scaled(3), clip_norm=3.0, noise_scale=1.0))
    assert three["pure_scalar"]["epsilon_step"] == pytest.approx(one["pure_scalar"]["epsilon_step"], rel=1e-9)
    assert three["paper_bound"]["epsilon_run"] == pytest.approx(one["paper_bound"]["epsilon_run"], rel=1e-9)
    for key in ("lower", "upper", "sigma_effective"):
        assert three["verified"][key] == pytest.approx(one["verified"][key], rel=1e-6)
    assert three["claimed"]["epsilon_run"] == pytest.approx(one["claimed"]["epsilon_run"], rel=1e-9)
    assert three["noise"]["noise_multiplier"] == pytest.approx(3 * one["noise"]["noise_multiplier"])


def test_noise_scaled_by_the_clip_norm_has_sensitivity_one_whatever_the_clip_norm():
    noise = load_noise("lmo-0.7")
    assert certificate_of(plan(noise, clip_norm=17.0))["verified"] == certificate_of(plan(noise))["verified"]


def test_published_and_computed_runs_stand_side_by_side():
    without = certificate_of(plan(load_noise("lmo-0.3")))["claimed"]
    assert without["published_epsilon_run"] is None
    given = certificate_of(plan(load_noise("lmo-0.3")), published_epsilon_step=0.3)["claimed"]
    assert given["published_epsilon_run"] > given["epsilon_run"] == without["epsilon_run"]


def test_answers_that_do_not_exist_are_null_with_a_reason():
    found = certificate_of(plan(LaplaceMixture(gamma=GammaPart(weight=1, shape=1.5, scale=3))))
    assert found["claimed"]["epsilon_step"] is None and "order 2" in found["claimed"]["reason"]
    assert found["paper_bound"]["epsilon_step"] is None and found["paper_bound"]["epsilon_run"] is None
    assert found["noise"]["noise_multiplier"] is None and "variance is infinite" in found["noise"]["reason"]
    assert found["noise"]["efficiency"] == 0
    assert found["verified"]["upper"] > 0  # the mechanism itself is private
    assert certificate_of(plan(Gaussian(std=2)))["pure_scalar"] == {
        "epsilon_step": None,
        "status": "infinite",
        "reason": "a Gaussian has no epsilon at delta = 0",
    }


def test_plans_that_cannot_be_certified():
    with pytest.raises(InvalidValue, match="noise = None: is needed"):
        certificate_of(plan(None, delta=None))
    with pytest.raises(InvalidValue, match="delta = None: is needed"):
        certificate_of(plan(Laplace(scale=1), delta=None))
    with pytest.raises(InvalidValue, match="dimension = 0"):
        certificate_of(plan(Laplace(scale=1)), dimension=0)


def test_plain_replaces_what_json_has_no_word_for():
    assert plain({"a": [1.0, math.inf], "b": (math.nan, "x")}) == {"a": [1.0, None], "b": [None, "x"]}
