"""The noise and the run, as a user states them: `account` stands for all commands that ask for a rate."""

import json

import pytest

from lmodp.cli import main

N, B = 67_349, 2048


def account(capsys, line):
    assert main(["account", *line.split(), "--delta", "1e-5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return found["plan"], found["noise"], found


def test_the_shortest_question_computes_the_rate_and_counts_the_steps(capsys):
    plan, noise, found = account(capsys, f"--noise-multiplier 0.9 --dataset-size {N} --batch-size {B} --epochs 6")
    assert plan["sampling_rate"] == B / N and plan["steps"] == 198, "6 x 67,349 / 2,048 = 197.3 steps are begun"
    assert noise["law"] == {"family": "gaussian", "std": 0.9} and noise["noise_multiplier"] == 0.9
    other = account(capsys, f"--noise-multiplier 0.9 --sampling-rate {B / N!r} --steps 198")[2]
    assert other["verified"] == found["verified"]


@pytest.mark.parametrize(("name", "multiplier"), [("laplace", 2.0), ("lmo-0.3", 3.0), ("gaussian", 0.8)])
def test_a_noise_is_scaled_to_its_multiplier_whatever_the_sensitivity(capsys, name, multiplier):
    line = f"--noise {name} --noise-multiplier {multiplier} --sampling-rate 0.1 --steps 2"
    found = [account(capsys, f"{line} --relative-sensitivity {sensitivity}")[2] for sensitivity in (1.0, 0.25)]
    assert found[0]["noise"]["noise_multiplier"] == pytest.approx(multiplier, rel=1e-12)
    assert found[1]["verified"]["upper"] == pytest.approx(found[0]["verified"]["upper"], rel=1e-9)
    assert main(["account", *line.split(), "--delta", "1e-5", "--relative-sensitivity", "0.25"]) == 0
    assert f"  noise_multiplier     {multiplier:g}\n" in capsys.readouterr().out


def test_only_a_point_as_it_was_published_has_its_published_claim(capsys):
    run = f"--dataset-size {N} --batch-size {B} --steps 192"
    assert account(capsys, f"--noise lmo-0.3 {run}")[2]["claimed"]["published_epsilon_run"] is not None
    scaled = account(capsys, f"--noise lmo-0.3 --noise-multiplier 9 {run}")[2]
    assert scaled["claimed"]["published_epsilon_run"] is None


RUN = "--sampling-rate 0.1 --steps 2"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--noise-multiplier 1 --steps 2", "sampling_rate = None: is needed. Give --dataset-size and --batch-size"),
        ("--noise-multiplier 1 --steps 2 --batch-size 9", "sampling_rate = None: is needed"),
        ("--noise-multiplier 1 --steps 2 --sampling-rate 0.1 --batch-size 9", "sampling_rate = 0.1: is given beside"),
        ("--noise-multiplier 1 --steps 2 --sampling-rate 1.5", "sampling_rate = 1.5: must be in (0, 1]"),
        ("--noise-multiplier 1 --steps 2 --dataset-size 5 --batch-size 9", "batch_size = 9.0: must be above 0 and at"),
        ("--noise-multiplier 1 --sampling-rate 0.1", "steps = None: is needed. Give --epochs or --steps."),
        ("--noise-multiplier 1 --sampling-rate 0.1 --steps 2 --epochs 1", "epochs = 1.0: is given beside steps"),
        ("--noise-multiplier 1 --sampling-rate 0.1 --epochs inf", "epochs = inf: must be finite"),
        ("--noise-multiplier 1 --sampling-rate 1e-300 --epochs 1e300", "epochs = 1e+300: must be finite"),
        ("--noise-multiplier 1 --sampling-rate 0.1 --steps 0", "steps = 0: must be a whole number"),
        (f"{RUN}", "noise_multiplier = None: is needed for gaussian noise. Give --noise-multiplier"),
        (f"{RUN} --noise-multiplier -1", "noise_multiplier = -1.0: must be finite and above 0"),
        (
            f"{RUN} --noise-multiplier 1 --relative-sensitivity 0",
            "relative_sensitivity = 0.0: must be finite and above 0",
        ),
        (f"{RUN} --noise lmo-0.33", "Did you mean 'lmo-0.3'?"),
        (f"{RUN} --noise-multiplier 1 --delta 0", "delta = 0.0: must be in (0, 1)"),
    ],
)
def test_a_run_that_is_not_one_is_refused_with_what_to_give(capsys, line, message):
    assert main(["account", "--delta", "1e-5", *line.split()]) == 2
    told = capsys.readouterr()
    assert message in told.err and not told.out


def test_a_delta_that_is_too_large_for_the_data_is_warned_of(capsys):
    run = "--noise-multiplier 1 --dataset-size 100 --batch-size 10 --steps 2"
    assert main(["account", *run.split(), "--delta", "0.01"]) == 0
    assert "warning: delta = 0.01: is not below 1 / 100: it permits a run that publishes" in capsys.readouterr().err
    assert main(["account", *run.split(), "--delta", "0.0099"]) == 0
    assert not capsys.readouterr().err
