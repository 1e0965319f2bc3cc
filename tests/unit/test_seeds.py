"""Seeds pair the methods: only the noise knows the method."""

import pytest

from lmodp.errors import InvalidValue
from lmodp.seeds import PURPOSES, derive_seed, run_seeds


def test_methods_share_everything_but_the_noise():
    shared = {"dataset": "sst2", "model": "minilm_roberta", "repetition": 3}
    one, other = run_seeds(11, spec="0a", **shared), run_seeds(11, spec="0b", **shared)
    assert {name for name in one if one[name] != other[name]} == {"noise"}


def test_every_part_changes_every_purpose():
    base = {"dataset": "sst2", "model": "m", "repetition": 0}
    seeds = {purpose: derive_seed(11, purpose, **base) for purpose in PURPOSES}
    assert len(set(seeds.values())) == len(PURPOSES)
    for change in ({"dataset": "e2e"}, {"model": "n"}, {"repetition": 1}):
        changed = {purpose: derive_seed(11, purpose, **{**base, **change}) for purpose in PURPOSES}
        assert not set(changed.values()) & set(seeds.values())
    assert derive_seed(12, "sampling", **base) != seeds["sampling"]


def test_values_are_fixed_for_ever():
    assert derive_seed(0, "sampling", dataset="d", repetition=1) == derive_seed(
        0, "sampling", repetition=1, dataset="d"
    )
    assert 0 <= derive_seed(0, "noise", spec="0a") < 2**63


def test_wrong_purposes_are_refused():
    with pytest.raises(InvalidValue, match="Did you mean 'sampling'"):
        derive_seed(0, "samplin")
    with pytest.raises(InvalidValue, match="must not enter the seed"):
        derive_seed(0, "split", spec="0a")
