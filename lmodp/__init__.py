"""lmodp: claimed, verified and audited privacy of fine-tuning.

These are the public names. Each is imported when it is first used, so that ``import lmodp`` takes no time:

==============  =================================================================================
``Plan``        a private run: noise, sampling rate, steps, delta
``load_noise``  a noise by its published name, or from a file
``account``     what is epsilon? every accountant's answer for a plan
``calibrate``   the smallest amount of noise that reaches a target
``certify``     the answers of `account`, and the verified one at delta = 1e-5, to compare plans
``audit``       a lower bound on epsilon, from samples of the mechanism
``finetune``    a model trained privately on your data, with its certificate
==============  =================================================================================

>>> import lmodp
>>> noise = lmodp.load_noise("lmo-0.3")
>>> plan = lmodp.Plan(noise=noise, sampling_rate=0.03, steps=10, delta=1e-10)
>>> found = lmodp.account(plan)
>>> round(found["claimed"]["epsilon_run"], 2)  # as the public code computes it
0.14
>>> round(found["verified"]["upper"], 2)  # what may be stated
0.16
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmodp.accounting import account_mechanism as account
    from lmodp.accounting import certificate_of as certify
    from lmodp.accounting import scale_to_target as calibrate
    from lmodp.mechanisms import load_noise
    from lmodp.pipeline.finetune import finetune
    from lmodp.plan import Plan
    from lmodp.stages.audit_mechanism import audit

__version__ = "0.2.3"
__all__ = ["Plan", "account", "audit", "calibrate", "certify", "finetune", "load_noise"]

# As text, so that each is imported when it is first used.
_HOMES = {
    "Plan": "lmodp.plan:Plan",
    "account": "lmodp.accounting:account_mechanism",
    "audit": "lmodp.stages.audit_mechanism:audit",
    "calibrate": "lmodp.accounting:scale_to_target",
    "certify": "lmodp.accounting:certificate_of",
    "finetune": "lmodp.pipeline.finetune:finetune",
    "load_noise": "lmodp.mechanisms:load_noise",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lmodp' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
