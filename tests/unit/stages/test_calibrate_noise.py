"""What a method answers is compared with what it asked: a noise for other releases than those returned is a fault."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from lmodp.mechanisms import Banded, Differences, Moments, Noise, Quantile, Releases, Spherical
from lmodp.methods.contract import Claim, Mechanism, Method
from lmodp.specs import MechanismSpec
from lmodp.stages.calibrate_noise import calibrate_noise

SPEC = MechanismSpec(
    method="mine", calibration="verified", epsilon=3, delta=1e-6, setting=None, expected_batch_size=10,
    dataset_size=100, steps=4, search=None, released=None,
)  # fmt: skip
BANDED, NUMBERS = Releases(correlation=Banded.square_root(2)), Releases(step=Differences(directions=8))
BALL = Spherical(dimension=8, power=1.0, scale=1.0)


@dataclass(frozen=True, kw_only=True)
class Unwritable(Noise):
    family: ClassVar[str] = "unwritable"
    scale: float

    def log_density(self, x):
        return -np.abs(x)

    def log_survival(self, x):
        return -np.abs(x)

    def to_dict(self):
        return 1 / 0


def answered(shape, asked, returned, *, factor=1.0, dimension=None):
    class Mine(Method):
        name, calibrations = "mine", ("verified",)

        def mechanism(self, target):
            noise = shape if asked is None else [target.calibrate(shape, each) for each in asked][-1]
            return Mechanism(noise=noise.scaled(factor) if factor != 1 else noise, releases=returned, note="mine")

    return calibrate_noise(SPEC, Mine(), None, dimension=dimension)


@pytest.mark.parametrize(
    ("shape", "asked", "returned", "factor", "told"),
    [
        ("gaussian", [BANDED], None, 1, "calibrates for releases (noise is correlated over 2 steps"),
        ("gaussian", [Releases(clip=Quantile())], None, 1, "not return (one noisy sum of gradients a step)"),
        ("gaussian", [NUMBERS], None, 1.01, "a step releases 8 sums of loss differences"),
        ("gaussian", [None], BANDED, 1, "calibrates for releases (one noisy sum of gradients a step) that it"),
        ("gaussian", [NUMBERS, BANDED], NUMBERS, 1, "noise is correlated"),
        (BALL, [None], None, 1, "gives noise for 8 numbers, and a step releases as many as are trained"),
        (BALL, None, Releases(step=Differences(directions=7)), 1, "and a step releases 7"),
        ("gaussian", [NUMBERS], Differences(directions=8), 1, "must be a Releases or None"),
        ("gaussian", [Banded.square_root(2)], BANDED, 1, "must be a Releases of lmodp.mechanisms. Write Releases("),
    ],
)
def test_releases_that_are_not_those_of_the_noise_are_found(shape, asked, returned, factor, told):
    found = answered(shape, asked, returned, factor=factor)
    assert found["status"] == "failed" and found["noise"] is None and told in found["reason"]


@pytest.mark.parametrize(
    ("shape", "asked", "returned", "factor", "dimension"),
    [
        ("gaussian", [None, BANDED], BANDED, 1, None),
        ("gaussian", [None, BANDED], None, 1.01, None),
        ("gaussian", [None], BANDED, 1.01, None),
        (BALL, [NUMBERS], NUMBERS, 1, None),
        (BALL, [None], None, 1, 8),
        (BALL, None, Releases(clip=Quantile()), 1, 7),
        (BALL, None, Releases(step=Moments()), 1, None),
    ],
)
def test_releases_that_are_those_of_the_noise_pass(shape, asked, returned, factor, dimension):
    found = answered(shape, asked, returned, factor=factor, dimension=dimension)
    assert "status" not in found and found["noise"], found


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"claim": 3.0}, "gives claim 3.0, must be a Claim or None"),
        ({"claim": Claim(epsilon="3", formula="f")}, "claims epsilon '3', must be above 0 and finite, or None"),
        ({"claim": Claim(epsilon=3, formula=None)}, "claims by formula None"),
        ({"claim": Claim(epsilon=3, formula="f", reason=None)}, "with reason None, must be texts"),
        ({"claim": Claim(epsilon=3, formula="f", epsilon_at=[1, 2])}, "must be pairs (delta, epsilon) of finite"),
        ({"claim": Claim(epsilon=3, formula="f", epsilon_at=((1e-5, math.inf),))}, "must be pairs"),
        ({"claim": Claim(epsilon=3, formula="f", published_epsilon_run="3")}, "claims published_epsilon_run '3'"),
        ({"claim_noise": "gaussian"}, "gives claim_noise 'gaussian', must be a Noise or None"),
        ({"published_epsilon_step": "3"}, "gives published_epsilon_step '3', must be above 0 and finite, or None"),
        ({"note": 5}, "gives note 5, must be a text"),
        ({"details": {"a": np.ones(2)}}, "must be a table of plain JSON values"),
        ({"details": {"a": {1, 2}}}, "must be a table of plain JSON values"),
        ({"details": {"a": math.nan}}, "must be a table of plain JSON values"),
        ({"details": [1]}, "gives details [1], must be a table"),
        ({"noise": Unwritable(scale=1.0)}, "raised ZeroDivisionError"),
    ],
)
def test_what_the_record_cannot_hold_fails_the_mechanism_alone(answer, told):
    class Mine(Method):
        name = "mine"

        def mechanism(self, target):
            return Mechanism(**{"noise": target.calibrate("gaussian"), **answer})

    found = calibrate_noise(SPEC, Mine(), None)
    assert found["status"] == "failed" and found["noise"] is None and told in found["reason"]


def test_a_calibration_that_ends_below_its_target_says_why():
    held, reached = answered(BALL, [NUMBERS], NUMBERS), answered("gaussian", [NUMBERS], NUMBERS)
    assert "held to the epsilon that a Gaussian within the target's Renyi bound has exactly" in held["note"]
    assert reached["note"] == "mine" == answered(BALL, None, NUMBERS)["note"]
