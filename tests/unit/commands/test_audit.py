"""``lmodp audit``."""

import json

import pytest

from lmodp.cli import main

RUN = ["audit", "--sampling-rate", "0.3", "--steps", "4", "--delta", "1e-6", "--trials", "2000", "--seed", "5"]


def audit(capsys, *arguments: str) -> dict:
    assert main([*RUN, *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_noise_file_is_audited_by_its_law(capsys, tmp_path):
    path = tmp_path / "noise.json"
    path.write_text(json.dumps({"family": "gaussian", "std": 0.9}))
    found = audit(capsys, "--noise", str(path))
    assert found["draw"] == "law" and found["coordinates"] == 16 and found["trials"] == 2000
    assert found["consistent_with_verified"] and 0 < found["epsilon_lower"] < found["verified"]["upper"]


def test_without_json_the_verdict_is_read_at_once(capsys):
    """A tenth of the noise that is claimed: the samples refute the claim, and say nothing against the interval."""
    faint = ["--noise", "lmo-0.3", "--noise-multiplier", "0.7", "--claim-noise", "lmo-0.3"]
    assert main([*RUN, *faint, "--trials", "20000"]) == 0
    told = capsys.readouterr().out
    assert "20,000 transcripts, confidence 0.95" in told and "sampling rate 0.3, 4 steps, delta 1e-06" in told
    assert {line.split("  ")[0] for line in told.splitlines()} >= {"claimed", "verified", "audited, at least"}
    assert "the samples agree with it" in told


def test_named_coordinates_are_drawn_by_the_sampler(capsys):
    found = audit(
        capsys, "--noise", "lmo-3", "--coordinates", "3", "--relative-sensitivity", "1.5", "--confidence", "0.8"
    )
    assert (found["draw"], found["coordinates"], found["relative_sensitivity"], found["confidence"]) == (
        "coordinates",
        3,
        1.5,
        0.8,
    )


def test_the_claim_of_another_noise(capsys):
    own = audit(capsys, "--noise", "lmo-3-as_drawn")
    other = audit(capsys, "--noise", "lmo-3-as_drawn", "--claim-noise", "lmo-3")
    assert own["at_delta"]["claimed"] != other["at_delta"]["claimed"]
    assert own["epsilon_lower"] == other["epsilon_lower"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--noise", "lmo-4"], "is neither a file nor a published name"),
        (["--noise", "lmo-3", "--steps", "0"], "steps = 0"),
        (["--noise", "lmo-3", "--delta", "2"], "delta = 2.0"),
        (["--noise", "lmo-3", "--trials", "5"], "trials = 5"),
    ],
)
def test_bad_values_are_named(capsys, arguments, text):
    assert main([*RUN, *arguments]) == 2
    assert text in capsys.readouterr().err
