"""The values that ``benchmarks/knobs.py`` tries are those of the methods: the marked one is what the method uses."""

import runpy
from pathlib import Path

import pytest

from lmodp.methods.contract import Target
from lmodp.methods.discovery import load_methods

KNOBS = runpy.run_path(str(Path(__file__).resolve().parents[3] / "benchmarks/knobs.py"))["KNOBS"]
TARGET = Target(calibration="verified", epsilon=1.0, delta=1e-5, sampling_rate=0.1, steps=10, search=None)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.method)
def test_every_value_is_a_method_and_the_marked_one_is_that_of_the_suite(knob, tmp_path):
    for name, text in knob.files():
        (tmp_path / f"{name}.py").write_text(text)
    methods = load_methods(str(tmp_path))
    original = methods[knob.method]
    tried = {value: methods[name] for value, (name, _) in zip(knob.values, knob.files(), strict=True)}
    assert len({method.mechanism(TARGET).releases for method in tried.values()}) == len(knob.values)
    if knob.used is not None:
        made, method = tried[knob.used].mechanism(TARGET), original.mechanism(TARGET)
        assert (made.noise, made.releases) == (method.noise, method.releases)
        assert tried[knob.used].forward_passes == original.forward_passes
