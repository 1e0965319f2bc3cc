"""Mutated configurations: a grid, or a refusal that names what is wrong; never anything else, and never for long."""

import copy
import math
import time

import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from lmodp.errors import LmodpError
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from tests.contracts.small_world import ROOT
from tests.faults.world import SEED, count

MUTATED = 5000
GRIDS = [yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("smoke", "quick", "paper")]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**19), 10**19),
    st.floats(),
    st.sampled_from(
        [0, 1, -1, 1e308, 1e-308, math.inf, math.nan, 10**18, "", "1e3", "\x00", "$x$", "/dev/zero", "a" * 5000]
    ),
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.text(max_size=4), st.floats()), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)
TALLY = {"grids": 0, "refused": 0}


def places(value, path=()):
    """Every place of a nested value."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*path, number))


@st.composite
def mutated(draw):
    """A configuration with one to three places changed, doubled, renamed or left out."""
    values = copy.deepcopy(draw(st.sampled_from(GRIDS)))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from([path for path in places(values) if path]))
        inner = values
        for part in above:
            inner = inner[part]
        change = draw(st.sampled_from(["replace", "replace", "drop", "rename", "double"]))
        if change == "drop":
            del inner[last]
        elif change == "rename" and isinstance(inner, dict):
            inner[draw(st.text(max_size=8))] = inner.pop(last)
        elif change == "double" and isinstance(inner, list):
            inner.append(inner[last])
        else:
            inner[last] = draw(ODD)
        if not [path for path in places(values) if path]:
            break
    return values


@seed(SEED)
@settings(max_examples=MUTATED, database=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def try_configuration(values):
    begun = time.process_time()
    try:
        Grid(check_config(values)).cells  # noqa: B018  the cells are what is asked for
        TALLY["grids"] += 1
    except LmodpError as error:
        TALLY["refused"] += 1
        assert len(str(error)) < 20_000 and str(error).strip()
    assert time.process_time() - begun < 20, "it takes too long to say so"


def test_mutated_configurations():
    try_configuration()
    tried = sum(TALLY.values())
    assert tried >= MUTATED and all(TALLY.values())
    count("mutated configuration", tried=tried, same_bytes=TALLY["grids"], refused=TALLY["refused"])
