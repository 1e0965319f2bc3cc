"""LMO-DP where nothing was published and the search found nothing."""

import pytest

from lmodp.accounting import verified_run
from lmodp.errors import Unsupported
from lmodp.mechanisms import PUBLISHED
from lmodp.methods.contract import Target
from lmodp.methods.discovery import get_method

RUN = {"delta": 1e-10, "sampling_rate": 0.1, "steps": 20}
NOTHING = {"noise": None, "reason": "made up"}


def test_below_all_published_epsilon_the_least_points_shape_is_scaled_to_a_verified_target():
    target = Target(calibration="verified", epsilon=0.1, search=NOTHING, **RUN)
    found = get_method("lmo_dp").mechanism(target)
    shape = PUBLISHED["figure6-0.2"].noise
    assert "'figure6-0.2', the least epsilon of one step known" in found.note
    # The product of variance and Fisher information is of the shape alone.
    assert found.noise.fisher_information * found.noise.variance == pytest.approx(
        shape.fisher_information * shape.variance
    )
    assert verified_run(found.noise, **RUN).upper <= 0.1


@pytest.mark.parametrize(("calibration", "epsilon"), [("claimed", 0.1), ("verified", 0.25)])
def test_a_claim_and_a_gap_between_points_stay_without_an_answer(calibration, epsilon):
    target = Target(calibration=calibration, epsilon=epsilon, search=NOTHING, **RUN)
    with pytest.raises(Unsupported, match="the search has none: made up"):
        get_method("lmo_dp").mechanism(target)
