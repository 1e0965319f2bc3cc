"""Noise files of every family with parameters from the far ends of arithmetic: an answer, or a reason."""

import json
import math
import time

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from lmodp import Plan, account, load_noise
from lmodp.errors import LmodpError
from tests.faults.world import SEED, count

FILES = 2000
NUMBER = st.one_of(
    st.floats(1e-3, 1e3),
    st.floats(0.05, 20),
    st.floats(0.05, 20),
    st.floats(),
    st.sampled_from([0, -1, 1e300, 1e-300, 5e-324, 10**18, 1e18, math.inf, math.nan, True, "5", None]),
)
PARTS = {
    "gamma": ("weight", "shape", "scale"),
    "exponential": ("weight", "rate"),
    "uniform": ("weight", "low", "high"),
    "truncated_normal": ("weight", "mean", "std", "low", "high"),
}
RATE = st.fixed_dictionaries(
    {}, optional={name: st.fixed_dictionaries({part: NUMBER for part in parts}) for name, parts in PARTS.items()}
)
LAW = st.one_of(
    st.fixed_dictionaries({"family": st.just("gaussian"), "std": NUMBER}),
    st.fixed_dictionaries({"family": st.just("laplace"), "scale": NUMBER}),
    st.fixed_dictionaries({"family": st.just("laplace_mixture"), "rate": RATE}),
    st.fixed_dictionaries({"family": st.just("laplace_mixture"), "rate": RATE}),
    st.dictionaries(st.sampled_from(["family", "std", "scale", "rate", "more"]), NUMBER, max_size=4),
)
PLAN = st.fixed_dictionaries(
    {
        "sampling_rate": st.sampled_from([1.0, 0.03, 1e-4, 1e-15, 1e-320]),
        "steps": st.sampled_from([1, 10, 1000, 10**9, 10**23]),
        "delta": st.sampled_from([1e-5, 1e-10, 5e-324, 0.5]),
    }
)
DIMENSION = st.sampled_from([*[None] * 9, 1, 2, 50])
LONGEST = 15.0  # processor seconds of one answer: 5 on the reference machine, and machines differ by a factor of 2.5
TALLY = {"answered": 0, "refused": 0}


def test_noise_files(tmp_path):
    file = tmp_path / "noise.json"

    @seed(SEED)
    @settings(max_examples=FILES, database=None, suppress_health_check=list(HealthCheck))
    @given(LAW, PLAN, DIMENSION)
    def try_file(law, plan, dimension):
        file.write_text(json.dumps(law))
        begun = time.process_time()
        try:
            found = account(Plan(noise=load_noise(file), **plan), dimension=dimension)["verified"]
        except LmodpError as error:
            TALLY["refused"] += 1
            assert str(error).strip()
            return
        TALLY["answered"] += 1
        assert time.process_time() - begun < LONGEST
        if found["status"] == "ok":
            assert 0 <= found["lower"] <= found["upper"] < math.inf
        else:
            assert found["reason"]

    try_file()
    assert TALLY["answered"] and TALLY["refused"]
    count("noise file", tried=sum(TALLY.values()), same_bytes=TALLY["answered"], refused=TALLY["refused"])
