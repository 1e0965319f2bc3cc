"""What a step releases, as data: JSON, refusals, and what the accountants read off it."""

import json
import math

import numpy as np
import pytest

from lmodp.errors import InvalidValue
from lmodp.mechanisms import DEFAULT, Banded, Differences, Gaussian, Moments, Quantile, Releases, Schedule, Spherical
from lmodp.plan import Phase, Plan
from lmodp.stages.audit_training import not_audited

KINDS = [
    DEFAULT,
    Releases(step=Differences(directions=3)),
    Releases(correlation=Banded.square_root(4)),
    Releases(clip=Quantile(quantile=0.7)),
    Releases(schedule=Schedule(noise=((0, 2.0), (3, 1.0)), learning_rate=((0, 0.1), (2, 1.0)))),
    Releases(step=Differences(), clip=Quantile(), schedule=Schedule(batch=((0, 0.5), (5, 2.0)))),
]


def plan(releases, **changes):
    return Plan(**{"noise": Gaussian(std=1.0), "sampling_rate": 0.1, "steps": 10, "releases": releases, **changes})


@pytest.mark.parametrize("releases", KINDS)
def test_they_round_trip_and_the_default_is_not_written(releases):
    written = json.loads(json.dumps(releases.to_dict()))
    assert Releases.from_dict(written) == releases and hash(Releases.from_dict(written)) == hash(releases)
    assert bool(releases.told) is (releases != DEFAULT)
    assert ("releases" in plan(releases).to_dict()) is (releases != DEFAULT) is bool(written)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Banded(coefficients=(0.0, 0.7)), "the first above 0"),
        (lambda: Banded(coefficients=0.5), "coefficients = 0.5: must be a list of numbers. Write"),
        (lambda: Banded(coefficients=(1, "a")), "coefficients = 'a': must be a number"),
        (lambda: Banded(coefficients=(0.6, 0.8)), "make noise that grows by 1.333 a step"),
        (lambda: Banded(coefficients=(1, 0, -4)), "make noise that grows by 2 a step"),
        (lambda: Banded.square_root(2.5), "bands = 2.5: must be a whole number"),
        (lambda: Differences(directions=True), "directions = True: must be a whole number"),
        (lambda: Differences(smoothing="a"), "smoothing = 'a': must be a number"),
        (lambda: Quantile(rate=None), "rate = None: must be a number"),
        (lambda: Schedule(noise=1.5), "noise = 1.5: must be pairs of a step and a factor. Write pairs"),
        (lambda: Schedule(noise={0: 1.5}), "must be pairs of a step and a factor"),
        (lambda: Schedule(batch=()), "must be pairs of a step and a factor"),
        (lambda: Schedule(batch=((0.5, 1.0),)), "batch: step = 0.5: must be a whole number of at least 0"),
        (lambda: Schedule(noise=((0, "a"),)), "noise: factor = 'a': must be a number"),
        (lambda: Releases(step=Differences), "Differences'>: must be a value of Gradient or Differences or Moments"),
        (lambda: Releases(schedule=((0, 1.0),)), "For example Releases(schedule=Schedule(...))"),
        (lambda: Releases(clip=Banded()), "must be a value of Fixed or Quantile"),
        (lambda: Releases.from_dict({"step": 3}), "releases = 3: has a part that is no table"),
        (lambda: plan(Banded.square_root(2)), "must be a Releases of lmodp.mechanisms. Write Releases(correlation"),
        (lambda: plan(DEFAULT, noise="gaussian"), "noise = 'gaussian': must be a noise law"),
        (lambda: plan(DEFAULT, steps=2.5), "steps = 2.5: must be a whole number"),
        (lambda: Differences(directions=0), "directions = 0: must be a whole number"),
        (lambda: Differences(smoothing=0.0), "smoothing = 0.0: must be finite and above 0"),
        (lambda: Quantile(quantile=1.0), "quantile = 1.0"),
        (lambda: Quantile(share=0.0), "share = 0.0"),
        (lambda: Schedule(noise=((1, 1.0),)), "the first at step 0"),
        (lambda: Schedule(batch=((0, 1.0), (5, 1.0), (5, 2.0))), "ascending steps"),
        (lambda: Schedule(clip_norm=((0, 0.0),)), "clip_norm: factor = 0.0: must be finite and above 0"),
        (lambda: Releases(correlation=Banded.square_root(2), clip=Quantile()), "which must then be alike"),
        (lambda: Releases.from_dict({"stride": {}}), "releases = 'stride': is not a part. Did you mean 'step'?"),
        (lambda: Releases.from_dict({"step": {"kind": "difference"}}), "Did you mean 'differences'?"),
        (lambda: Releases.from_dict({"step": {"kind": "differences", "k": 1}}), "differences = ['k']: has keys"),
        (lambda: plan(Releases(correlation=Banded.square_root(11))), "reaches 1.1 within the run"),
        (lambda: plan(Releases(schedule=Schedule(batch=((0, 1.0), (9, 11.0))))), "reaches 1.1 within the run"),
        (lambda: plan(Releases(clip=Quantile()), noise_scale=1.0), "must be left out with releases"),
    ],
)
def test_what_cannot_be_is_refused(make, told):
    with pytest.raises(InvalidValue) as error:
        make()
    assert told in str(error.value)


def test_coefficients_are_kept_at_norm_1_and_lists_are_read_as_tuples():
    for factor in (0.1, 1.0, 30.0):
        found = Banded(coefficients=list(factor * np.array([0.8, 0.6])))
        assert found.coefficients == pytest.approx((0.8, 0.6), rel=1e-14) and math.hypot(*found.coefficients) <= 1
        assert Banded(coefficients=np.array(found.coefficients)) == found == Banded.from_dict(found.to_dict())
    assert Banded(coefficients=(1, -1)).bands == 2  # a root on the circle: noise does not grow by a factor
    assert Schedule(noise=[(0, 2), [np.int64(3), np.float64(1)]]).noise == ((0, 2.0), (3, 1.0))


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_bands_are_those_of_the_matrix_square_root_and_their_error_that_of_the_matrices(bands):
    steps, found = 12, Banded.square_root(bands)
    prefix = np.tril(np.ones((steps, steps)))
    root = sum(np.diag(np.full(steps - k, math.comb(2 * k, k) / 4**k), -k) for k in range(steps))
    assert np.allclose(root @ root, prefix)
    assert found.coefficients == pytest.approx(root[:bands, 0] / np.linalg.norm(root[:bands, 0]), rel=1e-12)
    c = sum(np.diag(np.full(steps - k, value), -k) for k, value in enumerate(found.coefficients))
    error = np.linalg.norm(prefix @ np.linalg.inv(c)) / math.sqrt(steps)
    assert found.prefix_error(steps) == pytest.approx(error, rel=1e-12)


def test_a_plan_tells_the_accountants_what_to_compose():
    assert plan(DEFAULT).phases == (Phase(1.0, 0.1, 10),)
    assert plan(Releases(correlation=Banded.square_root(4))).phases == (Phase(1.0, 0.4, 3),)
    schedule = Schedule(noise=((0, 2.0), (3, 1.0), (8, 2.0)), batch=((0, 1.0), (5, 3.0)), clip_norm=((0, 9.0),))
    found = {(p.noise, round(p.sampling_rate, 9)): p.steps for p in plan(Releases(schedule=schedule)).phases}
    assert found == {(2.0, 0.1): 3, (1.0, 0.1): 2, (1.0, 0.3): 3, (2.0, 0.3): 2}
    assert plan(Releases(schedule=Schedule(noise=((0, 1.0), (99, 2.0))))).phases == (Phase(1.0, 0.1, 10),)


def test_dimension_and_sensitivity_are_of_all_that_an_example_moves():
    both = Releases(step=Differences(directions=3), clip=Quantile(share=0.5))
    assert (both.dimension, both.per_step, both.sensitivity) == (4, 2, math.hypot(1, 0.5))
    assert Releases(step=Differences(directions=3), correlation=Banded.square_root(4)).dimension == 12
    assert Releases(clip=Quantile()).dimension is None
    counted = plan(both, clip_norm=2.0)
    assert counted.effective_noise_scale == 2 * both.sensitivity and counted.relative_sensitivity == 1
    assert counted.relative_gradient == pytest.approx(1 / both.sensitivity)


def test_runs_whose_release_has_no_place_for_canaries_are_not_audited():
    moments = Plan(
        noise=Gaussian(std=1.0), sampling_rate=1.0, steps=1, dataset_size=9, releases=Releases(step=Moments())
    )
    whole = Plan(noise=Spherical(dimension=4, power=1.0, scale=1.0), sampling_rate=0.5, steps=2, dataset_size=9)
    plain = Plan(noise=Gaussian(std=1.0), sampling_rate=0.5, steps=2, dataset_size=9)
    assert not_audited(moments) and not_audited(whole) and not_audited(plain) is None
    assert Releases.from_dict(moments.releases.to_dict()) == moments.releases
