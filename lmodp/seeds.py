"""Seeds, derived by hashing named parts so that comparisons are paired.

Every random decision has a purpose. Its seed is a hash of the base seed, the data
set, the model, the repetition and the purpose. The whole spec of the cell enters only
for the purpose ``noise``. So at equal repetition all methods have the same split,
initial weights, Poisson samples and dropout masks, and they differ only in noise and
clipping. Two cells never share noise: the difference of two sums with the same noise
would give the data away.
"""

import hashlib
import json

from lmodp.errors import require, require_known
from lmodp.vocabulary import PURPOSES


def derive_seed(base_seed: int, purpose: str, **parts: object) -> int:
    """Return a seed in [0, 2^63) for one purpose.

    Args:
        base_seed: the config's ``base_seed``.
        purpose: one of `PURPOSES`.
        parts: what the decision depends on, for example ``dataset``, ``model`` or
            ``repetition``; JSON values. Their order does not matter.

    Raises:
        InvalidValue: an unknown purpose, or ``spec`` given for another purpose
            than noise (it would unpair the comparison).
    """
    require_known("purpose", purpose, PURPOSES, "unknown purpose of a seed")
    require(
        "spec" not in parts or purpose == "noise",
        "spec",
        parts.get("spec"),
        f"must not enter the seed of {purpose!r}",
    )
    text = json.dumps([base_seed, purpose, parts], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def run_seeds(base_seed: int, *, dataset: str, model: str, repetition: int, spec: str) -> dict[str, int]:
    """Return the seeds of one run for every purpose except the split.

    The split belongs to the data set; its seed is derived where the data set is prepared.

    Args:
        base_seed, dataset, model, repetition: what all methods share.
        spec: digits of the cell's spec, see `lmodp.specs.Spec.digits`.
    """
    shared = {"dataset": dataset, "model": model, "repetition": repetition}
    seeds = {purpose: derive_seed(base_seed, purpose, **shared) for purpose in ("head_init", "sampling", "dropout")}
    seeds["noise"] = derive_seed(base_seed, "noise", spec=spec, **shared)
    return seeds
