"""A claim file is closed, every setting is written somewhere, and its faults are told with a remedy."""

import copy
from pathlib import Path

import pytest
import yaml

from lmodp.claims.mechanism import lacking
from lmodp.claims.schema import load_claim, readings_of
from lmodp.errors import ConfigError, MissingFile

TEMPLATE = Path(__file__).resolve().parents[3] / "lmodp/claims/template.yaml"


@pytest.fixture
def values():
    found = yaml.safe_load(TEMPLATE.read_text().replace("PAPER", "mine"))
    found["noise"] = {"origin": "printed", "noise_multiplier": 1.1}
    found["run"] = {"sampler": "poisson", "dataset_size": 60000, "batch_size": 600, "steps": 1000}
    found["places"][0]["of"] += ["noise", "sampler", "dataset_size", "batch_size", "steps"]
    return found


def written(folder, values, name="mine-row.yaml"):
    path = folder / name
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_template_is_a_claim_that_says_nothing_yet(tmp_path, values):
    assert load_claim(written(tmp_path, values)).run.steps == 1000
    plain = yaml.safe_load(TEMPLATE.read_text().replace("PAPER", "mine"))
    assert lacking(load_claim(written(tmp_path, plain)))[:2] == ["noise", "sampler"]


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (("run", "batchsize"), 5, ["run.batchsize = 5", "unknown key", "Did you mean 'batch_size'?"]),
        (("claimed", "epsilon"), 0, ["claimed.epsilon = 0", "greater than 0"]),
        (("release", "numbers"), "all", ["release.numbers", "'many'"]),
        (("run", "epochs"), 3, ["run = ", "gives steps and epochs. Leave one out"]),
        (("run", "batch_size"), 70000, ["run = ", "batch larger than the data set"]),
        (("noise",), {"origin": "printed"}, ["noise = ", "needs one of noise_multiplier, point, law and by_code"]),
        (("noise",), {"origin": "printed", "point": "lmo-0.4"}, ["noise.point = 'lmo-0.4'", "no published point"]),
        (("noise",), {"origin": "printed", "law": {"family": "cauchy"}}, ["noise.law", "is not a noise family"]),
        (("noise",), {"origin": "code", "noise_multiplier": 1}, ["noise = ", "by_code with origin code"]),
        (("places",), [{"of": ["noise"], "path": "a.py"}], ["places.0", "names no place"]),
        (("places",), [{"of": ["noise"], "paper": "table 1"}], ["places = ", "lacks batch_size,", "Say where"]),
        (("paper",), "yours", ["paper = 'yours'", "must begin the name of the file"]),
        (("title",), None, ["title = None", "valid string"]),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_name_value_rule_and_remedy(tmp_path, values, path, value, parts):
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        load_claim(written(tmp_path, values))
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_fault_of_a_reading_names_the_reading(tmp_path, values):
    values["readings"] = [{"name": "one", "changes": {"run": {"step": 5}}}]
    with pytest.raises(ConfigError, match=r"readings.0: 1 fault\s+run.step = 5: unknown key. Did you mean 'steps'"):
        load_claim(written(tmp_path, values))


def test_readings_change_what_they_name_and_nothing_else(tmp_path, values):
    values["readings"] = [{"name": f"{steps} steps", "changes": {"run": {"steps": steps}}} for steps in (900, 1000)]
    claim = load_claim(written(tmp_path, values))
    found = readings_of(claim)
    assert [item.run.steps for item in found.values()] == [900, 1000]
    same = copy.deepcopy(values) | {"readings": []}
    assert found["1000 steps"] == load_claim(written(tmp_path, same))


def test_a_missing_file_says_how_to_start_one(tmp_path):
    with pytest.raises(MissingFile, match="lmodp claims new"):
        load_claim(tmp_path / "mine-row.yaml")
