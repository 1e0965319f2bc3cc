"""The configuration is closed and typed, and its faults are all told at once."""

import json
from pathlib import Path

import pytest
import yaml

from lmodp.errors import ConfigError, DamagedFile, MissingFile
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config, load_config, schema
from lmodp.mechanisms import load_noise
from lmodp.search.space import load_space

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def values():
    return yaml.safe_load((ROOT / "config/smoke.yaml").read_text())


def faults_of(values):
    with pytest.raises(ConfigError) as caught:
        check_config(values)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(path):
    assert load_config(path).grid == path.stem


def test_yaml_1_1_reads_1e_minus_10_as_text_and_we_do_not(values):
    assert values["privacy"]["delta"] == ["1e-10"] or values["privacy"]["delta"] == [1e-10]
    assert check_config({**values, "privacy": {"epsilon": ["3e-1"], "delta": ["1e-10"]}}).privacy.delta == [1e-10]


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (("privcy",), {}, ["privcy", "unknown key", "Did you mean 'privacy'?"]),
        (("[",), 1, ["[ = 1: unknown key"]),  # pydantic names branches of unions in this way
        (("experiments", "head", "LoraPart"), 1, ["experiments.head.LoraPart = 1: unknown key"]),
        (("experiments", "head", "literal[x]"), 1, ["experiments.head.literal[x] = 1: unknown key"]),
        (("privacy", "epsilon"), [0], ["privacy.epsilon #1 = 0", "greater than 0", "positive target"]),
        (("privacy", "epsilon"), [-0.3], ["privacy.epsilon #1 = -0.3", "greater than 0"]),
        (("privacy", "epsilon"), [3, "x"], ["privacy.epsilon #2 = 'x'", "valid number"]),
        (("local_files",), {1: {}}, ["local_files.1 = 1", "valid string"]),
        (("privacy", "delta"), [1.0], ["privacy.delta #1 = 1.0", "less than 1"]),
        (("privacy", "delta"), [0], ["privacy.delta #1 = 0", "greater than 0"]),
        (
            ("privacy", "calibrations"),
            ["verifyed"],
            ["privacy.calibrations #1 = 'verifyed'", "'claimed' or 'verified'"],
        ),
        (("methods",), ["gausian"], ["methods = 'gausian'", "unknown method", "Did you mean 'gaussian'?"]),
        (
            ("experiments", "head", "dataset"),
            "made-up",
            ["experiments.head.dataset = 'made-up'", "Did you mean 'made_up'?"],
        ),
        (("experiments", "head", "model"), "tiny_robrta", ["unknown model", "Did you mean 'tiny_roberta'?"]),
        (("experiments", "head", "repetitions"), "ten", ["experiments.head.repetitions = 'ten'", "integer"]),
        (("experiments", "head", "training", "steps"), 2.5, ["experiments.head.training.steps = 2.5", "integer"]),
        (("experiments", "head", "training", "lerning_rate"), 1, ["unknown key", "Did you mean 'learning_rate'?"]),
        (("experiments", "head", "titel"), "x", ["experiments.head.titel", "Did you mean 'title'?"]),
        (("experiments", "head", "trainable"), {"lora": {"rnk": 2}}, ["unknown key", "Did you mean 'rank'?"]),
        (("compare",), {"askd": "lmo_dp"}, ["compare.askd", "unknown key", "Did you mean 'asked'?"]),
        (("compare",), {"standard": "gausian"}, ["compare.standard = 'gausian'", "Did you mean 'gaussian'?"]),
        (
            ("experiments", "head", "training", "expected_batch_size"),
            500,
            [
                "experiments.head.training.expected_batch_size = 500",
                "a sampling rate of 2.604, which must be at most 1",
                "192",
            ],
        ),
        (
            ("experiments", "head", "trainable"),
            "hed",
            ["experiments.head.trainable = 'hed'", "Give full, head, bitfit"],
        ),
        (
            ("experiments", "head", "learning_rates"),
            {"gausian": 1e-3},
            ["learning_rates = 'gausian'", "Did you mean 'gaussian'?"],
        ),
        (("experiments", "head", "learning_rates"), {"gaussian": 0}, ["learning_rates.gaussian = 0", "greater than 0"]),
        (("grid",), "Quick Grid", ["grid = 'Quick Grid'"]),
    ],
)
def test_each_fault_names_value_rule_and_remedy(values, path, value, parts):
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    told = "\n".join(faults_of(values))
    for part in parts:
        assert part in told


def test_a_rate_is_for_a_method_that_is_there(values):
    values["experiments"]["head"] |= {"methods": ["gaussian"], "learning_rates": {"gaussian": 1e-3, "laplace": 1e-3}}
    assert [
        fault for fault in faults_of(values) if "learning_rates = 'laplace': is no method of this experiment" in fault
    ]


def test_a_delta_that_permits_to_publish_an_example_is_refused(values):
    size = check_config(values).cards["made_up"].train_size
    values["privacy"]["delta"] = [1e-10, 1 / size]
    (fault,) = faults_of(values)
    assert fault.startswith(f"privacy.delta = {1 / size!r}: is not below 1 / {size}, one over the training examples")
    values["privacy"]["delta"] = [0.99 / size]
    assert check_config(values).privacy.delta == [0.99 / size]


def test_a_rate_is_given_or_searched_for(values):
    head = values["experiments"]["head"]
    head |= {
        "learning_rates": {"gaussian": 1e-3},
        "training": {**head["training"], "tuning": {"learning_rate": [1e-3, 1e-2]}},
    }
    assert any("experiments.head.learning_rates" in fault and "training.tuning" in fault for fault in faults_of(values))


def test_all_faults_are_collected(values):
    values["privacy"]["epsilon"] = [-1]
    values["experiments"]["head"]["training"]["steps"] = 0
    values["colour"] = "blue"
    assert len(faults_of(values)) == 3


def test_a_missing_file_and_a_broken_one(tmp_path):
    with pytest.raises(MissingFile, match="is not there. The grids are in config/"):
        load_config(tmp_path / "none.yaml")
    for text, rule in (
        ("grid: [", "is not valid YAML"),
        ("[" * 5000, "not valid YAML .maximum rec"),
        ("", "file = None: must be"),
    ):
        (tmp_path / "broken.yaml").write_text(text)
        with pytest.raises(ConfigError, match=rule):
            load_config(tmp_path / "broken.yaml")


@pytest.mark.parametrize("read", [load_noise, load_space])
def test_a_file_that_is_nested_too_deeply_or_says_two_things_is_damaged(tmp_path, read):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(DamagedFile, match="is not JSON: maximum recursion"):
        read(tmp_path / "deep.json")
    (tmp_path / "twice.json").write_text('{"family": "gaussian", "std": 1, "std": 0.1}')
    with pytest.raises(DamagedFile, match="is not JSON: a key occurs twice among family, std, std"):
        read(tmp_path / "twice.json")


def test_the_written_schema_is_the_types(values):
    written = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    assert written == json.loads(json.dumps(schema())), "run `make schema`"
    assert written["additionalProperties"] is False


def test_targets_and_repetitions_by_calibration(values):
    values["privacy"] |= {
        "epsilon": {"claimed": [3], "verified": [0.3, 3]},
        "calibrations": ["claimed", "verified"],
    }
    head = values["experiments"]["head"]
    values["experiments"] = {"head": {**head, "methods": ["nonprivate", "gaussian"], "privacy": None}}
    values["experiments"]["head"]["repetitions"] = {"claimed": 2, "verified": 5}
    cells = Grid(check_config({**values, "methods": ["nonprivate", "gaussian"]})).cells.values()
    found = [(cell.spec.calibration, cell.spec.epsilon, cell.repetitions) for cell in cells]
    assert found == [(None, None, 5), ("claimed", 3, 2), ("verified", 0.3, 5), ("verified", 3, 5)]
    values["privacy"]["calibrations"] = ["verified"]
    faults = faults_of({**values, "methods": ["nonprivate", "gaussian"]})
    assert len(faults) == 2 and all("must name the calibrations that run: verified" in fault for fault in faults)
