"""How numbers are written: a printed interval holds the computed one."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmodp.commands import printing
from lmodp.reporting.formats import at_least, at_most, interval


@given(st.floats(1e-12, 1e12), st.integers(1, 8))
def test_the_ends_of_an_interval_are_rounded_outwards_by_less_than_a_unit(value, digits):
    low, high = Fraction(at_least(value, digits)), Fraction(at_most(value, digits))
    exact = Fraction(value)
    assert low <= exact <= high
    assert high - low <= exact * Fraction(10) ** (1 - digits)


@pytest.mark.parametrize(
    ("ends", "short", "long"),
    [
        ((0.5634149, 0.5951764), "[0.563, 0.596]", "0.563414 to 0.595177"),
        ((0.3, 0.3), "[0.299, 0.3]", "0.299999 to 0.3"),  # the nearest float is below 0.3
        ((0.25, 2.0), "[0.25, 2]", "0.25 to 2"),
        ((1.5, None), "[1.5, ∞]", "1.5 to -"),
        ((0.0, 123456.7), "[0, 124000]", "0 to 123457"),
    ],
)
def test_tables_and_commands_round_alike(ends, short, long):
    assert interval(*ends) == short
    assert printing.interval(dict(zip(("lower", "upper"), ends, strict=True))) == long
