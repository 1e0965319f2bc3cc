"""The README's block and its numbers, against the kept records that they come from."""

import re

import pytest

from lmodp.data.cards import DATASETS
from lmodp.records.record import read_record
from lmodp.reporting.page.answer import answer
from lmodp.reporting.page.readme import write_readme
from lmodp.reporting.tables.compare_published import read_published
from lmodp.reporting.tables.reach import PLANS, reach_page
from tests.workflow.conftest import ROOT

REFERENCE = ROOT / "results/reference"
CLAIMED, VERIFIED = (0.3, 0.7, 2.0, 3.0), (0.1, 0.3, 0.7, 2.0, 3.0)


@pytest.fixture(scope="module")
def kept():
    return read_record(REFERENCE / "tables/results.json")


def mechanism(kept, method, calibration, epsilon, name):
    """A record of a mechanism of the first experiment, read from its own file."""
    experiment = next(iter(kept["experiments"]))
    wanted = (experiment, method, calibration, epsilon, None)
    keys = ("experiment", "method", "calibration", "epsilon", "setting")
    cell = next(cell for cell in kept["cells"] if tuple(cell[key] for key in keys) == wanted)
    return read_record(REFERENCE / "mechanisms" / cell["mechanism"] / f"{name}.json")


def published(kept, epsilon):
    """The certificate of a published point of LMO-DP under the published plan, with no example held out."""
    names = ("method", "calibration", "epsilon", "setting", "dataset_size", "expected_batch_size", "steps")
    wanted = ("lmo_dp", "claimed", epsilon, None, DATASETS["sst2"].train_size, *PLANS["sst2"])
    (found,) = [key for key, item in kept["mechanisms"].items() if tuple(item[name] for name in names) == wanted]
    return read_record(REFERENCE / "mechanisms" / found / "certificate.json")["certificate"]


def test_the_readme_is_what_the_kept_records_say(tmp_path):
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    written = write_readme(results_folder=REFERENCE, readme=tmp_path / "README.md", copies=tmp_path / "docs/readme")
    for path in written:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()


def test_the_noise_ratios_are_those_of_the_certificates(kept):
    noise, _, _ = answer(kept)
    sizes = [
        [
            mechanism(kept, method, "verified", epsilon, "certificate")["certificate"]["noise"]["noise_multiplier"]
            for epsilon in VERIFIED
        ]
        for method in ("lmo_dp", "gaussian")
    ]
    told = [
        float(text) for text in re.search(r"needs ([\d., and]+) times", noise)[1].replace(" and ", ", ").split(", ")
    ]
    assert told == pytest.approx([a / b for a, b in zip(*sizes, strict=True)], abs=0.005) and min(told) > 1.41
    searched = mechanism(kept, "lmo_dp_optimised", "verified", 0.3, "noise")["details"]
    assert searched["noise_ratio"] == pytest.approx(2**0.5, rel=1e-3) and "ends at a plain Laplace" in noise


def test_the_claims_and_what_is_proven_are_those_of_the_certificates(kept):
    claims = answer(kept)[1]
    found = [published(kept, epsilon) for epsilon in CLAIMED]
    told = [
        float(text) for text in re.search(r"claim ε = ([\d., and]+) for", claims)[1].replace(" and ", ", ").split(", ")
    ]
    assert told == pytest.approx([item["claimed"]["epsilon_run"] for item in found], rel=0.005)
    ends = re.findall(r"\[([\d.]+), ([\d.]+)\]", claims)
    for (lower, upper), item in zip(ends, found, strict=True):
        assert float(lower) <= item["verified"]["lower"] and float(upper) >= item["verified"]["upper"]
        assert float(lower) > 0.99 * item["verified"]["lower"] and float(upper) < 1.01 * item["verified"]["upper"]
        assert item["claimed"]["epsilon_run"] < item["verified"]["lower"]
    assert "4 of 4 claims do not hold" in claims


def test_the_pooled_difference_is_the_mean_of_the_cells(kept):
    cells = {(cell["method"], cell["calibration"], cell["epsilon"]): cell for cell in reversed(kept["cells"])}
    gaps = [
        cells["lmo_dp", "verified", epsilon]["scores"]["accuracy"]["mean"]
        - cells["gaussian", "verified", epsilon]["scores"]["accuracy"]["mean"]
        for epsilon in VERIFIED
        if ("lmo_dp", "claimed", epsilon) in cells  # nothing is published for the others
    ]
    assert len(gaps) == len(VERIFIED) - 1
    score, _, one_rate = answer(kept)[2].partition(" These are for learning rates that held-out examples chose")
    assert "With one rate for all methods: at equal verified ε" in one_rate
    told = re.search(
        r"at equal verified ε \(mean over ε = [^)]*\) ([-+][\d.]+) points \[([-+][\d.]+), ([-+][\d.]+)\]", score
    )
    middle, lower, upper = map(float, told.groups())
    assert middle == pytest.approx(100 * sum(gaps) / len(gaps), abs=0.005) and lower < middle < upper
    assert ("no difference shown" in score) is (lower < 0 < upper)


def test_the_headline_stands_beside_the_kept_certificate(kept):
    rows = read_published(ROOT / "config/published.tsv")
    (page,) = reach_page(kept, rows)
    found = published(kept, 0.7)
    claimed, lower = re.search(r"has ε = ([\d.]+) for the whole run; verified is \[([\d.]+),", page.caption).groups()
    assert float(claimed) == pytest.approx(found["claimed"]["epsilon_run"], rel=0.005)
    assert 0.99 * found["verified"]["lower"] < float(lower) <= found["verified"]["lower"]
