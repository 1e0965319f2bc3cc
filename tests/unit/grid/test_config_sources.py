"""Keys of sources, generation and depth: closed, checked, and passed on."""

import copy

import pytest

from lmodp.data.source_settings import SourceSettings
from lmodp.errors import ConfigError
from lmodp.grid.config import check_config

BASE = {
    "grid": "g",
    "methods": ["nonprivate"],
    "privacy": {"epsilon": [3.0]},
    "experiments": {
        "a": {
            "title": "t",
            "dataset": "e2e",
            "model": "smollm2",
            "source": "local",
            "model_source": "embedded",
            "layers": 4,
            "generation": {"num_beams": 2},
            "training": {"expected_batch_size": 8, "steps": 2},
        }
    },
}


def changed(place, value):
    values = copy.deepcopy(BASE)
    *path, last = place.split(".")
    inner = values
    for name in path:
        inner = inner[name]
    inner[last] = value
    return values


def test_sources_are_passed_on():
    revision = "a" * 40
    config = check_config(
        {
            **BASE,
            "local_layout": "official",
            "local_files": {"e2e": {"test": "x.csv"}},
            "local_models": {"gpt2": "g"},
            "hub_revisions": {"e2e": revision},
        }
    )
    assert config.sources() == SourceSettings(
        local_layout="official",
        local_files={"e2e": {"test": "x.csv"}},
        local_models={"gpt2": "g"},
        hub_revisions={"e2e": revision},
    )
    experiment = config.experiments["a"]
    assert (experiment.source, experiment.model_source, experiment.layers, experiment.generation.num_beams) == (
        "local",
        "embedded",
        4,
        2,
    )
    assert check_config(BASE).sources() == SourceSettings()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("experiments.a.model", "minilm_bert", "'minilm_bert': cannot generate, as e2e asks. Use a GPT-2 or a Llama"),
        ("experiments.a.dataset", "sst2", "generation = '...': is for table-to-text, sst2 is not"),
        ("experiments.a.model", "gpt2", "layers = 4: model gpt2 is used whole"),
        (
            "experiments.a.generation",
            {"beams": 3},
            "experiments.a.generation.beams = 3: unknown key. Did you mean 'num_beams'",
        ),
        ("experiments.a.source", "web", "experiments.a.source = 'web'"),
        ("local_files", {"e3e": {}}, "local_files.e3e = 'e3e': unknown data set. Did you mean 'e2e'"),
        ("local_models", {"gpt": "x"}, "unknown model. Did you mean 'gpt2'"),
        ("hub_revisions", {"e2e": "main"}, "hub_revisions.e2e = 'main'"),
        ("local_layout", "offical", "local_layout = 'offical'"),
    ],
)
def test_faults(place, value, message):
    with pytest.raises(ConfigError) as error:
        check_config(changed(place, value))
    assert message in str(error.value)
