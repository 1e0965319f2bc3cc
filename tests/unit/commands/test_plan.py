"""`lmodp plan`: every cell of a grid with its size, privacy and cost, without weights."""

import json
from pathlib import Path

import pytest
import yaml

from lmodp.cli import main
from lmodp.estimate.plan_grid import plan_grid
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config, load_config

CONFIG = Path(__file__).resolve().parents[3] / "config"
SMALL = {
    "grid": "small",
    "methods": ["nonprivate", "gaussian"],
    "privacy": {"epsilon": [0.3], "delta": [1e-10], "calibrations": ["claimed", "verified"]},
    "experiments": {
        "sst2": {
            "title": "t",
            "dataset": "sst2",
            "model": "roberta_large",
            "source": "hub",
            "max_length": 256,
            "training": {"expected_batch_size": 2048, "steps": 192},
        },
        "head": {
            "title": "t",
            "dataset": "sst2",
            "model": "roberta_large",
            "source": "hub",
            "trainable": "head",
            "repetitions": 3,
            "training": {"expected_batch_size": 2048, "steps": 192},
        },
    },
}


def small_at(rate, **changes):
    return Grid(check_config({**SMALL, "machine": {"rate": rate}, **changes}))


@pytest.fixture(scope="module")
def plan():
    return plan_grid(small_at(1e12), privacy=True)


def test_one_entry_a_cell_and_one_size_an_experiment(plan):
    assert [(cell["experiment"], cell["method"], cell["calibration"]) for cell in plan["cells"]] == [
        (name, method, calibration)
        for name in ("sst2", "head")
        for method, calibration in (("nonprivate", None), ("gaussian", "claimed"), ("gaussian", "verified"))
    ]
    assert [item["parameters"] for item in plan["models"]] == [355361794, 355361794]
    assert all(item["problem"] is None for item in plan["models"])


def test_rate_steps_and_time(plan):
    cell, model = plan["cells"][0], plan["models"][0]
    assert cell["sampling_rate"] == pytest.approx(2048 / 67349) and cell["steps"] == 192
    assert cell["seconds"] == pytest.approx(plan_grid(small_at(2e12))["cells"][0]["seconds"] * 2)
    trained = model["flops_per_example"] * 13 / 256 * 2048 * 192 / 1e12  # SST-2 has 13 tokens on average
    assert cell["seconds"] == pytest.approx(trained, rel=0.1)  # noise and scores; attention at 256 tokens


def test_a_step_of_loss_differences_costs_its_forward_passes():
    grid = small_at(1e12, methods=["gaussian", "zeroth_order"], experiments={"sst2": SMALL["experiments"]["sst2"]})
    seconds = {cell["method"]: cell["seconds"] for cell in plan_grid(grid)["cells"] if not cell["reason"]}
    assert seconds["zeroth_order"] == pytest.approx(seconds["gaussian"] * 2 / 3, rel=0.05)


def test_cached_layers_are_not_counted_again(plan):
    full, head = plan["cells"][0], plan["cells"][3]
    assert head["runs"] == 3 and head["seconds"] < full["seconds"] / 20
    assert head["memory_bytes"] < full["memory_bytes"] / 3


@pytest.mark.parametrize(
    ("grid", "experiment", "measured"),
    [
        ("smoke", "head", 0.545e9),
        ("quick", "head", 0.772e9),
        ("quick", "gpt2", 1.30e9),
        ("quick", "llama", 1.52e9),
        ("reference", "sst2_head", 0.873e9),
        ("reference", "sst2_last_layer", 3.30e9),
        ("reference", "sst2_smollm2", 1.73e9),
        ("reference", "e2e_gpt2", 1.52e9),
    ],
)
def test_memory_is_that_of_the_kept_runs(grid, experiment, measured):
    """Largest resident sets from timing.jsonl of the grids in results/."""
    values = yaml.safe_load((CONFIG / f"{grid}.yaml").read_text())
    experiments = {experiment: {**values["experiments"][experiment], "methods": ["gaussian"], "learning_rates": {}}}
    values |= {"experiments": experiments}
    cells = plan_grid(Grid(check_config(values)))["cells"]
    assert all(measured / 1.5 < cell["memory_bytes"] < measured * 1.5 for cell in cells)


def test_verified_epsilon(plan):
    assert [cell["reason"] for cell in plan["cells"]] == [None] * 6
    none, claimed, verified = (cell["verified"] for cell in plan["cells"][:3])
    assert none is None
    # sigma = sqrt(2 ln(1.25/delta)) / 0.3 = 22.73 holds between 0.101 and 0.107 after 192 steps at 2,048 / 67,349.
    assert 0.101 < claimed < 0.107
    assert 0.299 < verified <= 0.3


def test_the_command_prints_json_and_text(tmp_path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(json.dumps(SMALL))
    assert main(["plan", "--configfile", str(path), "--rate", "1e12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["grid"] == "small"
    assert main(["plan", "--configfile", str(path), "--rate", "1e12"]) == 0
    text = capsys.readouterr().out
    assert "355,361,794" in text and "6 cells" in text


def paper(*names, **changes):
    """The published grid, or some of its experiments."""
    values = yaml.safe_load((CONFIG / "paper.yaml").read_text())
    kept = {name: item for name, item in values["experiments"].items() if not names or name in names}
    return Grid(check_config({**values, "experiments": kept, **changes}))


def test_the_published_grid_is_the_published_one():
    config = load_config(CONFIG / "paper.yaml")
    assert {
        (item.dataset, item.training.expected_batch_size, item.training.steps) for item in config.experiments.values()
    } == {
        ("sst2", 2048, 192),
        ("qnli", 2048, 306),
        ("mnli", 2048, 1146),
        ("qqp", 2048, 1062),
        ("e2e", 1024, 410),
        ("dart", 1024, 610),
    }
    assert len(config.experiments) == 20 and len(Grid(config).cells) >= 20 * (
        1 + 3 * 2 * 4
    )  # and the methods' own points


def test_the_published_grid_can_be_trained_and_unpinned_files_are_told():
    plan = plan_grid(paper())
    assert len(plan["models"]) == 20 and all(item["problem"] is None and item["tapped"] for item in plan["models"])
    reasons = {}
    for cell in plan["cells"]:
        reasons.setdefault(cell["experiment"], set()).add(cell["reason"])
    pinned = {name for name, found in reasons.items() if found == {None}}
    assert pinned == {
        *(
            f"{model}_{data}"
            for model in ("roberta_base", "roberta_large", "bert_base")
            for data in ("sst2", "qnli", "mnli", "qqp")
        ),
        "llama2_sst2",
    }
    for name in reasons.keys() - pinned:
        (reason,) = reasons[name]
        key = "bert_large" if name.startswith("bert_large") else name.split("_")[1]
        assert f"hub_revisions.{key} = None" in reason and "has no pinned revision. Give one of its commits" in reason


def test_a_revision_in_the_config_or_another_source_needs_no_pin():
    for changes in ({"hub_revisions": {"e2e": "f" * 40}}, {"hub_revisions": {"dart": "f" * 40}}):
        cells = plan_grid(paper("gpt2_e2e", **changes))["cells"]
        assert {cell["reason"] is None for cell in cells} == {"e2e" in changes["hub_revisions"]}
    values = yaml.safe_load((CONFIG / "paper.yaml").read_text())
    local = {**values["experiments"]["gpt2_e2e"], "source": "local"}
    cells = plan_grid(Grid(check_config({**values, "experiments": {"gpt2_e2e": local}})))["cells"]
    assert {cell["reason"] for cell in cells} == {None}
