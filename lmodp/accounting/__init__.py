"""What is epsilon? Claimed, theorem, pure scalar and verified answers for one plan.

Nothing here imports torch. Every accountant takes a noise law scaled so that the
sensitivity is 1; `certify_mechanism` does the scaling from a plan.
"""

from lmodp.accounting.calibration import calibrate_noise, verified_upper
from lmodp.accounting.certificate import CUSTOMARY_DELTA, certify_mechanism
from lmodp.accounting.claimed import claimed_run, claimed_step
from lmodp.accounting.scalar import pure_scalar, theorem_step
from lmodp.accounting.theorem import theorem_run
from lmodp.accounting.verified import Verified, verified_run

__all__ = [
    "CUSTOMARY_DELTA",
    "Verified",
    "calibrate_noise",
    "certify_mechanism",
    "claimed_run",
    "claimed_step",
    "pure_scalar",
    "theorem_run",
    "theorem_step",
    "verified_run",
    "verified_upper",
]
