"""A mechanism that was asked for a verified epsilon keeps it, or has no certificate."""

from dataclasses import replace

import pytest

from lmodp.methods.contract import Mechanism, Method
from lmodp.stages.calibrate_noise import calibrate_noise
from lmodp.stages.certify_mechanism import certify_mechanism
from tests.unit.stages.test_calibrate_noise import SPEC


def certified(*, factor, spec=SPEC, full=False):
    class Mine(Method):
        name = "mine"

        def mechanism(self, target):
            return Mechanism(noise=target.calibrate("gaussian").scaled(factor))

    return certify_mechanism(spec, {"status": "done", **calibrate_noise(spec, Mine(), None)}, full=full)


@pytest.mark.parametrize(("factor", "full"), [(0.4, False), (0.4, True), (0.999, False), (1e-50, False)])
def test_a_verified_epsilon_above_the_target_fails(factor, full):
    found = certified(factor=factor, full=full)
    assert found["status"] == "failed" and found["certificate"] is None
    assert "its verified epsilon is " in found["reason"] and ", above the target 3. Return" in found["reason"]


@pytest.mark.parametrize(("factor", "full"), [(1 - 1e-9, False), (1, False), (1, True), (4, False)])
def test_one_at_the_target_or_below_is_certified(factor, full):
    assert certified(factor=factor, full=full)["certificate"]["verified"]["upper"] <= 3 * (1 + 1e-6)


def test_a_claimed_target_is_no_verified_one():
    assert certified(factor=0.4, spec=replace(SPEC, calibration="claimed"))["certificate"]["verified"]["upper"] > 3
