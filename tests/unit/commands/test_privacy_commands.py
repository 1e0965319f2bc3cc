"""account, search and calibrate, as a user calls them."""

import json

import pytest

from lmodp.accounting.rdp.supremum import vector_curve
from lmodp.cli import main
from lmodp.mechanisms import Laplace, load_noise, noise_from_dict

RUN = ["--sampling-rate", "0.0304", "--steps", "192", "--delta", "1e-10"]


def answer(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_account_prints_the_certificate(capsys):
    found = answer(capsys, "account", "--noise", "lmo-0.3", *RUN)
    assert found["claimed"]["epsilon_step"] == pytest.approx(0.2932127545)
    assert found["claimed"]["published_epsilon_run"] > found["claimed"]["epsilon_run"]
    assert found["verified"]["lower"] < found["verified"]["upper"]
    assert found["plan"]["relative_sensitivity"] == 1


def test_account_without_json_is_a_table(capsys):
    assert main(["account", "--noise", "lmo-0.3", *RUN]) == 0
    text = capsys.readouterr().out
    assert "order 128 is outside the MGF's domain" in text
    assert "the whole gradient; like a Gaussian of noise multiplier 4.53597" in text
    assert [line.split()[0] for line in text.splitlines()[3:7]] == ["claimed", "paper's", "pure", "verified"]
    assert main(["account", "--noise", "lmo-0.3", "--dimension", "1", *RUN]) == 0
    assert "one number; like a Gaussian of noise multiplier 4.53597" in capsys.readouterr().out


def test_relative_sensitivity_counts_and_takes_the_published_claim_with_it(capsys):
    one = answer(capsys, "account", "--noise", "lmo-0.3", *RUN, "--dimension", "1")
    tenth = answer(capsys, "account", "--noise", "lmo-0.3", *RUN, "--dimension", "1", "--relative-sensitivity", "0.1")
    assert tenth["verified"]["upper"] < one["verified"]["upper"] / 3
    assert tenth["plan"]["relative_sensitivity"] == pytest.approx(0.1)
    assert tenth["claimed"]["published_epsilon_run"] is None  # published for sensitivity 1


def test_calibrate_writes_what_account_reads(capsys, tmp_path):
    path = tmp_path / "noise.json"
    assert (
        main(
            [
                "calibrate",
                "--family",
                "laplace",
                "--epsilon",
                "0.6",
                "--accountant",
                "verified",
                *RUN,
                "--output",
                str(path),
            ]
        )
        == 0
    )
    told = capsys.readouterr().out
    assert f"wrote {path}: laplace noise of noise multiplier" in told and "verified epsilon of the run" in told
    assert isinstance(load_noise(path), Laplace)
    found = answer(capsys, "account", "--noise", str(path), *RUN)
    assert found["verified"]["upper"] == pytest.approx(0.6, rel=1e-4) and found["verified"]["upper"] <= 0.6


def test_calibrate_keeps_the_shape_of_a_mixture(capsys):
    arguments = [
        "calibrate",
        "--family",
        "laplace_mixture",
        "--shape",
        "lmo-3",
        "--epsilon",
        "2",
        "--accountant",
        "claimed",
        *RUN,
    ]
    assert main(arguments) == 0
    noise = noise_from_dict(json.loads(capsys.readouterr().out))
    assert noise.efficiency == pytest.approx(load_noise("lmo-3").efficiency)


def test_search_prints_the_noise_and_every_account(capsys, tmp_path):
    trace = tmp_path / "trace.parquet"
    found = answer(
        capsys,
        "search",
        "--epsilon",
        "0.3",
        "--delta",
        "1e-10",
        "--accountant",
        "claimed",
        "--objective",
        "epsilon",
        "--trace",
        str(trace),
    )
    assert noise_from_dict(found["noise"]) == load_noise("lmo-0.3")
    assert (found["points"], found["valid"]) == (40824, 11088)
    assert set(found["accounts"]) == {"claimed", "paper_bound", "pure_scalar", "verified"}
    assert trace.is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["account", "--noise", "lmo-03", *RUN], "Did you mean 'lmo-0.3'?"),
        (
            ["account", "--noise", "lmo-0.3", "--sampling-rate", "1.5", "--steps", "1", "--delta", "0.1"],
            "sampling_rate = 1.5: must be in (0, 1]",
        ),
        (
            ["calibrate", "--family", "gaussian", "--epsilon", "1e-5", "--accountant", "verified", *RUN],
            "below what Renyi orders",
        ),
        (
            [
                "calibrate",
                "--family",
                "gaussian",
                "--shape",
                "lmo-3",
                "--epsilon",
                "1",
                "--accountant",
                "verified",
                *RUN,
            ],
            "shape = 'lmo-3': goes with --family laplace_mixture alone",
        ),
        (
            ["search", "--epsilon", "0.5", "--delta", "1e-10", "--accountant", "paper_bound", "--objective", "epsilon"],
            "no point of the space",
        ),
    ],
)
def test_faults_are_one_line_and_status_2(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_the_curve_of_a_noise_is_computed_once(capsys):
    def computed(*arguments):
        before = vector_curve.cache_info().misses
        answer(capsys, "account", "--noise", "lmo-0.7", *RUN, *arguments)
        return vector_curve.cache_info().misses - before

    assert computed("--relative-sensitivity", "1.0002") == 1
    assert computed("--relative-sensitivity", "1.0002") == 0
