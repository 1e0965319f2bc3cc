"""What is epsilon? Claimed, paper's bound, pure scalar and verified answers for one plan.

Nothing here imports torch. Every accountant takes a noise law scaled so that the
sensitivity is 1; `certificate_of` does the scaling from a plan.
"""

from lmodp.accounting.calibration import scale_to_target, verified_upper
from lmodp.accounting.certificate import COMMON_DELTA, account_mechanism, certificate_of, published_claim
from lmodp.accounting.claimed.lap2 import lap2_epsilon, lap2_scale
from lmodp.accounting.claimed.lmo_dp import claimed_run, claimed_step
from lmodp.accounting.claimed.plrv_o import PlrvClaim, plrv_o_epsilon
from lmodp.accounting.paper_bound import paper_bound_run, paper_bound_step, pure_scalar
from lmodp.accounting.phases import rdp_upper_of, scale_to_plan, verified_plan
from lmodp.accounting.verified import Verified, verified_run

__all__ = [
    "COMMON_DELTA",
    "PlrvClaim",
    "Verified",
    "account_mechanism",
    "rdp_upper_of",
    "scale_to_plan",
    "scale_to_target",
    "certificate_of",
    "published_claim",
    "claimed_run",
    "claimed_step",
    "lap2_epsilon",
    "lap2_scale",
    "plrv_o_epsilon",
    "pure_scalar",
    "paper_bound_run",
    "paper_bound_step",
    "verified_plan",
    "verified_run",
    "verified_upper",
]
