"""What is epsilon? Claimed, theorem, pure scalar and verified answers for one plan.

Nothing here imports torch. Every accountant takes a noise law scaled so that the
sensitivity is 1; `certify_mechanism` does the scaling from a plan.
"""

from lmodp.accounting.calibration import calibrate_noise, verified_upper
from lmodp.accounting.certificate import CUSTOMARY_DELTA, account_mechanism, certify_mechanism, published_claim
from lmodp.accounting.claimed import claimed_run, claimed_step
from lmodp.accounting.lap2 import lap2_epsilon, lap2_scale
from lmodp.accounting.optimise import OptimisedNoise, optimise_noise
from lmodp.accounting.plrv_o import PlrvClaim, plrv_o_epsilon
from lmodp.accounting.scalar import pure_scalar, theorem_step
from lmodp.accounting.search import SearchResult, search_noise
from lmodp.accounting.theorem import theorem_run
from lmodp.accounting.verified import Verified, verified_run
from lmodp.accounting.win_map import win_map

__all__ = [
    "CUSTOMARY_DELTA",
    "OptimisedNoise",
    "PlrvClaim",
    "SearchResult",
    "Verified",
    "account_mechanism",
    "calibrate_noise",
    "certify_mechanism",
    "published_claim",
    "claimed_run",
    "claimed_step",
    "lap2_epsilon",
    "lap2_scale",
    "optimise_noise",
    "plrv_o_epsilon",
    "pure_scalar",
    "search_noise",
    "theorem_run",
    "theorem_step",
    "verified_run",
    "verified_upper",
    "win_map",
]
