"""The search over a space: every accountant against a plain loop, objectives, ties, faults, trace."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from lmodp.accounting import claimed_step, paper_bound_step, verified_upper
from lmodp.errors import DamagedFile, InvalidValue, MissingFile, Unsupported
from lmodp.mechanisms import noise_from_dict
from lmodp.search import find_noise
from lmodp.search.grid_search import deviations, fisher_informations, usefulness, write_trace
from lmodp.search.space import load_space
from lmodp.stages.search_noise import search_noise

DELTA = 1e-8
SPACE = {
    "gamma": {"weight": [0.1, 0.4], "scale_shape": [[0.5, 1], [2, 2], [9, 0.5]]},
    "exponential": {"weight": [0.1, 0.6], "rate": [0.5, 5]},
    "uniform": {"weight": [0.1, 0.3, 0.9], "high_low": [[1, 0], [2, 1]]},
}
RUN = {"sampling_rate": 0.05, "steps": 30}


@pytest.fixture(scope="module")
def space():
    return load_space(SPACE)


def test_the_walk_is_the_published_one(space):
    """a1 fastest, then a3, a4, (theta, k), lambda, (b, a)."""
    laws = []
    for high, low in SPACE["uniform"]["high_low"]:
        for rate in SPACE["exponential"]["rate"]:
            for scale, shape in SPACE["gamma"]["scale_shape"]:
                for a4 in SPACE["uniform"]["weight"]:
                    for a3 in SPACE["exponential"]["weight"]:
                        for a1 in SPACE["gamma"]["weight"]:
                            laws.append((a1, a3, a4, scale, shape, rate, high, low))
    assert space.points == len(laws) == 144
    for point, (a1, a3, a4, scale, shape, rate, high, low) in enumerate(laws):
        noise = space.noise(point)
        assert (noise.gamma.weight, noise.exponential.weight, noise.uniform.weight) == (a1, a3, a4)
        assert (noise.gamma.scale, noise.gamma.shape, noise.exponential.rate) == (scale, shape, rate)
        assert (noise.uniform.high, noise.uniform.low) == (high, low)
    columns = space.columns()
    assert columns["gamma_scale"][77] == space.noise(77).gamma.scale
    assert columns["uniform_low"][100] == space.noise(100).uniform.low


@pytest.mark.parametrize(
    ("accountant", "one"),
    [
        ("claimed", lambda noise: claimed_step(noise, delta=DELTA).epsilon),
        ("paper_bound", lambda noise: paper_bound_step(noise, delta=DELTA).epsilon),
    ],
)
def test_every_point_against_a_plain_loop(space, accountant, one):
    found = find_noise(space, accountant=accountant, objective="epsilon", epsilon=1e9, delta=DELTA)
    expected = np.array([one(space.noise(point)) for point in range(space.points)])
    assert np.array_equal(np.isfinite(found.trace["epsilon"]), np.isfinite(expected))
    assert found.trace["epsilon"] == pytest.approx(expected, rel=1e-12)
    assert found.valid == np.isfinite(expected).sum() < space.points


def test_moments_of_every_point_against_the_noise_itself(space):
    noises = [space.noise(point) for point in range(space.points)]
    assert deviations(space) == pytest.approx(np.array([noise.std for noise in noises]), rel=1e-8)
    assert fisher_informations(space) == pytest.approx(
        np.array([noise.fisher_information for noise in noises]), rel=1e-9
    )
    assert usefulness(space, 0.7) == pytest.approx(np.array([noise.usefulness(0.7) for noise in noises]), rel=1e-10)


@pytest.mark.parametrize("objective", ["epsilon", "usefulness", "std"])
def test_the_objectives_against_brute_force(space, objective):
    found = find_noise(space, accountant="claimed", objective=objective, epsilon=1.2, delta=DELTA, gamma=0.4)
    noises = [space.noise(point) for point in range(space.points)]
    score = {
        "epsilon": lambda n: claimed_step(n, delta=DELTA).epsilon,
        "usefulness": lambda n: n.usefulness(0.4),
        "std": lambda n: -n.std,
    }[objective]
    below = [n for n in noises if claimed_step(n, delta=DELTA).epsilon < 1.2]
    assert found.qualifying == len(below)
    assert score(found.noise) == max(map(score, below))
    assert found.value == pytest.approx(abs(score(found.noise)), rel=1e-9)


def test_verified_points_are_held_to_their_own_bound(space):
    found = find_noise(space, accountant="verified", objective="std", epsilon=2.0, delta=DELTA, **RUN)
    assert verified_upper(found.noise, delta=DELTA, **RUN) == found.epsilon < 2.0
    limits = found.trace["epsilon"]
    for point in (0, 50, 143):
        assert limits[point] == pytest.approx(verified_upper(space.noise(point), delta=DELTA, **RUN), rel=5e-3)
    better = [p for p in range(space.points) if found.trace["std"][p] < found.value and limits[p] < 2.0]
    assert not better


def test_ties_go_to_the_first_point_of_the_walk():
    twice = load_space({"gamma": {"weight": [0.1, 0.1], "scale_shape": [[0.5, 1], [0.5, 1]]}})
    found = find_noise(twice, accountant="paper_bound", objective="epsilon", epsilon=9, delta=DELTA)
    assert found.point == 0 and (found.trace["epsilon"] == found.epsilon).all()


def test_the_target_itself_does_not_qualify(space):
    found = find_noise(space, accountant="claimed", objective="epsilon", epsilon=1.2, delta=DELTA)
    again = find_noise(space, accountant="claimed", objective="epsilon", epsilon=found.epsilon, delta=DELTA)
    assert again.epsilon < found.epsilon


def test_no_qualifying_point_is_unsupported_with_the_smallest():
    with pytest.raises(
        Unsupported,
        match="no point of the space 'published' has epsilon below 1 under 'paper_bound': the smallest is 1.20838",
    ):
        find_noise("published", accountant="paper_bound", objective="epsilon", epsilon=1, delta=1e-10)


def test_spaces_from_files(tmp_path, space):
    path = tmp_path / "space.json"
    path.write_text(json.dumps(SPACE))
    assert load_space(path).noise(99) == space.noise(99)
    path.write_text("[")
    with pytest.raises(DamagedFile, match="is not JSON"):
        load_space(path)
    with pytest.raises(MissingFile, match="is neither 'published' nor a file"):
        load_space("publishd")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "must be a table with at least one part"),
        ({"gama": {}}, "Did you mean 'gamma'?"),
        ({"gamma": {"weight": [0.1]}}, "lacks scale_shape"),
        ({"gamma": {"weight": [], "scale_shape": [[1, 1]]}}, "must be a list of at least one value"),
        ({"gamma": {"weight": [0.1], "scale_shape": [1]}}, "must be a pair of numbers"),
        ({"gamma": {"weight": [0.1], "scale_shape": [[1, -1]]}}, "rate.gamma.shape = -1.0: must be finite and above 0"),
        ({"exponential": {"weight": [0.0], "rate": [1]}}, "must hold values above 0"),
        (
            {"exponential": {"weight": [0.1], "rates": [1]}},
            "space.exponential.rates = [1]: is not a known key. Did you mean 'rate'?",
        ),
    ],
)
def test_faults_of_a_space_are_named(values, message):
    with pytest.raises(InvalidValue) as error:
        load_space(values)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accountant": "claim"}, "Did you mean 'claimed'?"),
        ({"objective": "variance"}, "objective = 'variance': is not known"),
        ({"gamma": 0}, "gamma = 0: must be finite and above 0"),
        ({"epsilon": -1}, "epsilon = -1: must be finite and above 0"),
    ],
)
def test_faults_of_a_search_are_named(space, changes, message):
    with pytest.raises(InvalidValue) as error:
        find_noise(
            space, **{"accountant": "claimed", "objective": "epsilon", "epsilon": 1.0, "delta": DELTA, **changes}
        )
    assert message in str(error.value)


def test_the_record_and_the_trace_of_a_search(tmp_path):
    spec = {
        "space": "published",
        "accountant": "claimed",
        "objective": "epsilon",
        "gamma": 0.9,
        "epsilon": 0.3,
        "delta": 1e-10,
    }
    record = search_noise(spec)
    assert noise_from_dict(record["noise"]).gamma.scale == 0.5
    json.dumps(record, allow_nan=False)
    write_trace(find_noise(**spec).trace, tmp_path / "a" / "trace.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "a" / "trace.parquet")
    assert table.num_rows == record["points"] == 40824
    assert sum(table["qualifies"].to_pylist()) == record["qualifying"]
    assert table["epsilon"][record["point"]].as_py() == np.float32(record["epsilon"])


def test_the_record_of_a_search_that_finds_nothing():
    spec = {
        "space": "published",
        "accountant": "paper_bound",
        "objective": "epsilon",
        "gamma": 0.9,
        "epsilon": 0.5,
        "delta": 1e-10,
    }
    record = search_noise(spec)
    assert record["status"] == "skipped" and "no point" in record["reason"] and record["noise"] is None
