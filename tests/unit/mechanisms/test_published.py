"""The published settings, and noise by name or from a file."""

import json

import pytest

from lmodp.errors import DamagedFile, InvalidValue, MissingFile
from lmodp.mechanisms import PUBLISHED, Laplace, LaplaceMixture, UniformPart, as_drawn, load_noise


def test_every_published_setting_is_there_with_its_source():
    methods = [setting.method for setting in PUBLISHED.values()]
    assert (methods.count("lmo_dp"), methods.count("plrv_o"), len(methods)) == (19, 12, 31)
    assert all("arXiv" in setting.source for setting in PUBLISHED.values())
    assert all(
        (setting.published_epsilon_step is None) == (setting.method == "plrv_o") for setting in PUBLISHED.values()
    )


@pytest.mark.parametrize(
    ("name", "epsilon", "a1", "theta", "k", "a3", "rate", "a4", "low", "high"),
    [
        ("lmo-0.3", 0.3, 0.1, 0.5, 1, 0.1, 5, 0.1, 1, 2),
        ("lmo-0.7", 0.7, 0.1, 0.5, 1, 0.1, 5, 0.1, 5, 6),
        ("lmo-2", 2, 0.1, 1, 2, 0.1, 5, 0.2, 7, 8),
        ("lmo-3", 3, 0.1, 1, 2, 0.1, 5, 0.9, 2, 3),
        ("lmo-5", 5, 0.1, 7.5, 1, 0.9, 1, 0.7, 6, 7),
        ("figure6-0.2", 0.2, 0.1, 0.5, 1, 0.1, 5, 0.1, 0, 1),
        ("figure6-1", 1, 0.1, 0.5, 1, 0.1, 5, 0.1, 8, 9),
        ("figure6-4", 4, 0.1, 2, 2, 0.1, 1, 0.9, 1, 2),
        ("usefulness-0.3", 0.3, 0.1, 7.5, 1, 0.9, 1, 0.1, 1, 2),
        ("usefulness-2", 2, 0.1, 7.5, 1, 0.9, 1, 0.2, 8, 9),
        ("usefulness-3", 3, 0.3, 3, 2, 0.1, 5, 0.3, 8, 9),
    ],
)
def test_settings_as_published(name, epsilon, a1, theta, k, a3, rate, a4, low, high):
    setting = PUBLISHED[name]
    gamma, exponential, uniform = setting.noise.gamma, setting.noise.exponential, setting.noise.uniform
    assert setting.published_epsilon_step == epsilon
    assert (gamma.weight, gamma.scale, gamma.shape) == (a1, theta, k)
    assert (exponential.weight, exponential.rate) == (a3, rate)
    assert (uniform.weight, uniform.low, uniform.high) == (a4, low, high)


def test_plrv_o_settings_are_lone_gammas():
    noise = PUBLISHED["plrv_o-sst2-0.2"].noise
    assert (noise.gamma.weight, noise.gamma.shape, noise.gamma.scale) == (1, 3000, 3.3344e-5)
    assert noise.parts == (noise.gamma,)
    assert PUBLISHED["plrv_o-dart-0.5"].noise.gamma.scale == 2.1311e-5


def test_as_drawn_puts_the_mean_where_the_rate_stood():
    analysed = load_noise("lmo-0.3")
    drawn = load_noise("lmo-0.3-as_drawn")
    assert drawn == as_drawn(analysed)
    assert drawn.exponential.rate == pytest.approx(1 / 5)
    assert (drawn.gamma, drawn.uniform) == (analysed.gamma, analysed.uniform)
    without = LaplaceMixture(uniform=UniformPart(weight=1, low=1, high=2))
    assert as_drawn(without) is without
    with pytest.raises(InvalidValue, match="LMO-DP settings only"):
        load_noise("plrv_o-sst2-0.2-as_drawn")


def test_noise_from_a_file(tmp_path):
    path = tmp_path / "noise.json"
    path.write_text(json.dumps({"family": "laplace", "scale": 2.0}))
    assert load_noise(path) == Laplace(scale=2.0)
    path.write_text(json.dumps({"status": "done", "noise": {"family": "laplace", "scale": 3.0}}))
    assert load_noise(str(path)) == Laplace(scale=3.0)


def test_files_that_are_no_noise(tmp_path):
    with pytest.raises(
        MissingFile, match=r"noise = 'lmo-03': is neither a file nor a published name. Did you mean 'lmo-0.3'\?"
    ):
        load_noise("lmo-03")
    path = tmp_path / "noise.json"
    path.write_text("{")
    with pytest.raises(DamagedFile, match="is not JSON"):
        load_noise(path)
    path.write_text("[1]")
    with pytest.raises(InvalidValue, match="must be a table"):
        load_noise(path)
