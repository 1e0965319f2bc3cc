"""A claim file is closed, every setting is written somewhere, and its faults are told with a remedy."""

import copy
from pathlib import Path

import pytest
import yaml

from lmodp.claims.mechanism import lacking
from lmodp.claims.schema import load_claim, readings_of
from lmodp.errors import ConfigError, MissingFile

TEMPLATE = Path(__file__).resolve().parents[3] / "lmodp/claims/template.yaml"


def filled():
    """The template with words of one's own in the place of its own."""
    found = yaml.safe_load(TEMPLATE.read_text().replace("PAPER", "mine"))
    found |= {"title": "Mine", "source": "made up", "setting": "one row"}
    found["places"][0]["paper"] = "table 1"
    found["places"][1] |= {"repository": "me/mine", "commit": "1" * 40}
    return found


@pytest.fixture
def values():
    found = filled()
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
    assert lacking(load_claim(written(tmp_path, filled())))[:2] == ["noise", "sampler"]


def test_what_the_template_says_of_itself_is_no_claim(tmp_path):
    with pytest.raises(ConfigError, match="6 faults") as caught:
        load_claim(written(tmp_path, yaml.safe_load(TEMPLATE.read_text().replace("PAPER", "mine"))))
    for name in ("title", "source", "setting", "places #1.paper", "places #2.repository", "places #2.commit"):
        assert f"  {name} = " in str(caught.value)
    assert str(caught.value).count("is the template's own text") == 6


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (("run", "batchsize"), 5, ["run.batchsize = 5", "unknown key", "Did you mean 'batch_size'?"]),
        (("claimed", "epsilon"), 0, ["claimed.epsilon = 0", "greater than 0"]),
        (("release", "numbers"), "all", ["1 fault", "release.numbers", "valid integer, or input should be 'many'."]),
        (("release", "numbers"), 0, ["1 fault", "equal to 1, or input should be 'many'."]),
        (("run", "sampler"), "full_batch", ["run = ", "full batches that are smaller than the data set"]),
        (("noise", "rounded_to"), 2.2, ["noise = ", "at twice noise_multiplier or above"]),
        (("paper",), "Mine", ["paper = 'Mine'", "Give a key in lower-case letters"]),
        (("readings",), [{"name": "one", "changes": {"title": "x"}}], ["readings #1: title", "not for a reading to"]),
        (("readings",), [{"name": "one", "changes": {"readings": []}}], ["readings #1: readings", "not for a reading"]),
        (("run", "epochs"), 3, ["run = ", "gives steps and epochs. Leave one out"]),
        (("run", "batch_size"), 70000, ["run = ", "batch larger than the data set"]),
        (("run",), {"sampler": "fixed_size", "dataset_size": 9, "batch_size": 9}, ["Give the sampler as full_batch"]),
        (("noise",), {"origin": "printed"}, ["noise = ", "needs one of noise_multiplier, point, law and by_code"]),
        (("noise",), {"origin": "printed", "point": "lmo-0.4"}, ["noise.point = 'lmo-0.4'", "no published point"]),
        (("noise",), {"origin": "printed", "law": {"family": "cauchy"}}, ["noise.law", "is not a noise family"]),
        (("noise",), {"origin": "code", "noise_multiplier": 1}, ["noise = ", "by_code with origin code"]),
        (("places",), [{"of": ["noise"], "path": "a.py"}], ["places #1 = ", "names no place"]),
        (("places",), [{"of": ["noise"], "paper": "table 1"}], ["places = ", "lacks batch_size,", "Say where"]),
        (("paper",), "yours", ["paper = 'yours'", "must begin the name of the file"]),
        (("title",), None, ["title = None", "valid string"]),
        (("noise",), 1.3, ["noise = 1.3: must be a section of keys: origin, family, noise_multiplier,"]),
        (("places",), [{"of": ["nose"], "paper": "table 1"}], ["places #1.of #1 = 'nose'", "Did you mean 'noise'?"]),
        (("see",), ["mine-raw"], ["see #1 = 'mine-raw': is no claim. Did you mean 'mine-row'?"]),
        (("claimed",), {"epsilon": 3.42, "delta": 1e-5, "rounded_to": 0.1}, ["may be at most 0.01, the last digit"]),
        (("claimed",), {"epsilon": 20, "delta": 1e-5, "rounded_to": 10}, ["may be at most 1, the last digit"]),
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


def test_the_faults_of_all_readings_are_told_at_once_and_name_the_reading(tmp_path, values):
    changes = ({"run": {"step": 5}}, {"run": {"steps": 5}}, {"claimed": {"adjacency": "replace"}})
    values["readings"] = [{"name": "one" if place else "two", "changes": item} for place, item in enumerate(changes)]
    with pytest.raises(ConfigError, match="3 faults") as caught:
        load_claim(written(tmp_path, values))
    for part in (
        "readings = 'one': is the name of two readings",
        "readings #1: run.step = 5: unknown key. Did you mean 'steps'",
        "readings #3: claimed.adjacency = 'replace'",
    ):
        assert part in str(caught.value)


def test_code_that_is_found_to_shuffle_has_no_poisson_samples(tmp_path, values):
    found = {"finding": "shuffled_batches", "evidence": "read in the code", "place": {"paper": "table 1"}}
    load_claim(written(tmp_path, values | {"checks": [found]}))
    with pytest.raises(ConfigError, match="run.sampler = 'poisson': contradicts the finding shuffled_batches"):
        load_claim(written(tmp_path, values | {"checks": [found], "about": "code"}))


def test_a_key_that_is_missing_or_written_twice_is_told(tmp_path, values):
    path = written(tmp_path, {key: item for key, item in values.items() if key != "noise"})
    with pytest.raises(ConfigError, match="noise = None: is required. .* write noise: null if it is not printed"):
        load_claim(path)
    for more, name in (("about: code\n", "about"), ("note: {a: 1, b: 2, a: 3}\n", "a")):
        path = written(tmp_path, values)
        path.write_text(path.read_text() + more)
        with pytest.raises(ConfigError, match=f"the key '{name}' is written twice"):
            load_claim(path)


def test_readings_change_what_they_name_and_nothing_else(tmp_path, values):
    values["readings"] = [{"name": f"{steps} steps", "changes": {"run": {"steps": steps}}} for steps in (900, 1000)]
    claim = load_claim(written(tmp_path, values))
    found = readings_of(claim)
    assert [item.run.steps for item in found.values()] == [900, 1000]
    same = copy.deepcopy(values) | {"readings": []}
    assert found["1000 steps"] == load_claim(written(tmp_path, same))


def test_a_reading_can_have_steps_in_place_of_epochs(tmp_path, values):
    """As claims/README.md shows it. How many steps an epoch has is the reading, so it is written nowhere."""
    values["run"]["epochs"] = values["run"].pop("steps")
    values["places"][0]["of"].append("epochs")
    values["readings"] = [{"name": "whole", "changes": {"run": {"epochs": None, "steps": 35}}}]
    assert readings_of(load_claim(written(tmp_path, values)))["whole"].run.steps == 35


def test_a_missing_file_says_how_to_start_one(tmp_path):
    with pytest.raises(MissingFile, match="lmodp claims new"):
        load_claim(tmp_path / "mine-row.yaml")
