"""Nonsense is refused before anything runs: repetition, numbers without an end, places that are none."""

import copy
from pathlib import Path

import pytest
import yaml

from lmodp.errors import ConfigError, Fault, MissingFile
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config, load_config

ROOT = Path(__file__).resolve().parents[3]
SMOKE = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
OWN = {"task": "classification", "files": {"train": "a.csv"}, "text": "review", "label": "stars"}


def changed(**changes):
    """The smoke grid with values at places such as privacy__epsilon."""
    values = copy.deepcopy(SMOKE)
    for place, value in changes.items():
        *path, last = place.split("__")
        inner = values
        for name in path:
            inner = inner[name]
        inner[last] = value
    return values


def told(**changes):
    with pytest.raises(ConfigError) as caught:
        check_config(changed(**changes))
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("privacy__epsilon", [3, 1, 3], "privacy.epsilon = [3, 1, 3]: holds 3.0 twice"),
        ("privacy__delta", ["1e-10", 1e-10], "holds 1e-10 twice"),
        ("privacy__calibrations", ["verified", "verified"], "holds 'verified' twice"),
        ("methods", ["gaussian", "nonprivate", "gaussian"], "methods = ['gaussian', 'nonprivate', 'gaussian']: holds"),
        ("experiments__head__methods", ["gaussian", "gaussian"], "holds 'gaussian' twice"),
        (
            "experiments__head__training__tuning",
            {"clip_norm": [1, 1.0]},
            "tuning.clip_norm = [1, 1.0]: holds 1.0 twice",
        ),
        ("search", {"space": "/dev/null"}, "search.space = '/dev/null': is not a file. Give 'published' or"),
        ("search", {"space": "config"}, "search.space = 'config': is not a file"),
        ("search", {"space": "absent.json"}, "search.space = 'absent.json': is not a file"),
        ("search", {"space": "x" * 4000}, "at most 1000 characters"),
        ("search", {"space": "x" * 300}, "is no path: a name in it has more than 255 bytes"),
        ("data_root", "a\0b", "is no path"),
        ("cache_root", "y" * 4000, "cache_root = 'yyy"),
        (
            "audit__trials",
            10**18,
            "audit.trials = 1000000000000000000: input should be less than or equal to 100000000",
        ),
        ("audit__canaries", 10**12, "audit.canaries"),
        ("experiments__head__training__learning_rate", 1e308, "learning_rate = 1e+308: input should be less than"),
        ("experiments__head__training__weight_decay", float("inf"), "weight_decay = inf"),
        ("experiments__head__training__weight_decay", float("nan"), "weight_decay = nan"),
        ("experiments__head__training__clip_norm", 1e300, "clip_norm = 1e+300"),
        ("experiments__head__repetitions", 10**6, "is more runs than a grid may have, 200000. Split it"),
        ("processes", 49, "expected_batch_size = 48.0: is smaller than the number of processes, 49: some would never"),
        ("experiments__head__max_length", 2, "max_length = 2: input should be greater than or equal to 3"),
        ("grid", "g" * 300, "at most 64 characters"),
        ("experiments", {"x" * 250: SMOKE["experiments"]["head"]}, "at most 64 characters"),
        (
            "local_files",
            {"sst2": {"dev": "a.tsv"}},
            "local_files.sst2 = 'dev': unknown split. Known: train, validation",
        ),
        ("local_files", {"made_up": {"train": "a.tsv"}}, "local_files.made_up = 'made_up': unknown data set"),
        ("privacy__published_points", ["plrv_o-sst2-3"], "is a setting that no method has. Did you mean 'plrv_o-sst2-"),
    ],
)
def test_nonsense_is_refused(place, value, message):
    assert message in told(**{place: value})


def test_a_grid_that_is_too_large_is_refused_by_counting():
    many = [1 + number / 1000 for number in range(990)]
    assert "is more cells than a grid may have, 20000" in told(privacy__epsilon=many)
    assert "more runs" in told(experiments__head__repetitions=10**9)
    assert "at most 1000 items" in told(privacy__epsilon=[1 + number / 1000 for number in range(3000)])


@pytest.mark.parametrize("path", ["x" * 4000, "config", "a\0b"])
def test_a_configuration_that_cannot_be_read(path):
    with pytest.raises(MissingFile, match="configfile = .*: (cannot be read|is not there)"):
        load_config(path)


def test_a_folder_without_methods(tmp_path):
    assert "holds no method. Put a method's file there" in told(methods_folder=str(tmp_path))
    with pytest.raises(MissingFile, match="is not a folder"):
        check_config(changed(methods_folder="/dev/null"))


def test_a_text_keeps_its_text_and_a_number_may_be_written_as_one():
    revision = "1234567890123456e012345678901234567890".ljust(40, "7")
    config = check_config(changed(title="1e3", data_root="2e5", hub_revisions={"sst2": revision}, audit__trials="20e3"))
    assert (config.title, config.data_root, config.hub_revisions["sst2"]) == ("1e3", "2e5", revision)
    assert config.audit.trials == 20000 and isinstance(config.audit.trials, int)
    assert "audit.trials = '20.5e1'" not in told(audit__trials="2.05e2", colour=1)
    assert "audit.trials = 200.5: input should be a valid integer" in told(audit__trials="2.005e2")


def test_long_values_are_cut():
    message = told(colour="x" * 30_000, **{"experiments__head__title": ["y" * 30_000], "z" * 5_000: 1})
    assert len(message) < 1500 and "(30,002 characters)" in message
    assert len(str(Fault("name", "x" * 10**6, "r" * 10**6, "remedy"))) < 1200
    many = str(ConfigError("c", [Fault(f"key{number}", number, "is wrong") for number in range(3000)]))
    assert many.startswith("c: 3000 faults") and many.endswith("... and 2980 more") and len(many) < 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": None}, "datasets.mine.label = None: is required for classification. Name a column"),
        ({"target": "x"}, "datasets.mine.target = '...': is not for classification. Leave it out"),
        ({"task": "table_to_text"}, "datasets.mine.source = None: is required for table_to_text"),
        ({"files": {"test": "a.csv"}}, "datasets.mine.files.train = None: is required"),
        ({"files": {"trian": "a.csv"}}, "datasets.mine.files.trian"),
        ({"from": "a/b"}, "datasets.mine.revision = None: a hub's repository needs its commit"),
        ({"frm": "a/b"}, "datasets.mine.frm = 'a/b': unknown key. Did you mean 'from'?"),
        ({"revision": "main"}, "datasets.mine.revision = 'main'"),
        ({"text": ["a", "b", "c"]}, "datasets.mine.text"),
        ({"text": "stars"}, "datasets.mine = ['stars', 'stars']: names one column twice"),
        ({"split_off": {"validation": 0.1}}, "datasets.mine.split_off.test = None: is required"),
        ({"split_off": {"test": 0.5, "validation": 0.5}}, "takes the whole file"),
        ({"split_off": {"test": 0.5}, "files": {"train": "a", "test": "b"}}, "split_off.test = 0.5: has a file"),
        ({}, "datasets.mine = '...': file = 'absent/a.csv': does not exist. Put it there"),
    ],
)
def test_a_data_set_of_ones_own_says_what_it_lacks(change, message):
    head = {**SMOKE["experiments"]["head"], "dataset": "mine"}
    values = {"datasets": {"mine": {**OWN, **change}}, "experiments": {"head": head}, "data_root": "absent"}
    assert message in told(**values)


def test_ones_own_data_need_a_name_of_their_own_and_a_validation_part_for_tuning(tmp_path):
    assert "datasets.sst2 = '...': is a name that the suite knows already" in told(datasets={"sst2": OWN})
    (tmp_path / "a.csv").write_text("review,stars\n" + "".join(f"text {n},{n % 2}\n" for n in range(400)))
    head = copy.deepcopy({**SMOKE["experiments"]["head"], "dataset": "mine"})
    head["training"]["tuning"] = {"learning_rate": [1e-3, 1e-2]}
    values = {"datasets": {"mine": OWN}, "experiments": {"head": head}, "data_root": str(tmp_path)}
    assert "needs a validation part, which mine lacks. Give held_out" in told(**values)
    head["training"]["tuning"]["held_out"] = 400
    assert "experiments.head.training.tuning.held_out = 400: leaves no training example of" in told(**values)
    head["training"]["tuning"] = {"learning_rate": [1e-3, 1e-2]}
    head["training"]["expected_batch_size"] = 500
    assert "is a sampling rate of 1.3" in told(**values)
    head["training"]["expected_batch_size"] = 40
    values["datasets"]["mine"] = {**OWN, "split_off": {"test": 0.1, "validation": 0.1}}
    config = check_config(changed(**values))
    assert config.cards["mine"].labels == ("0", "1") and "sha256" in config.own_data["mine"]


def test_ids_of_kept_records_stay():
    """The grid of results/reference asks for the very folders that are kept there."""
    grid = Grid(check_config(yaml.safe_load((ROOT / "config/reference.yaml").read_text())))
    kept = {
        "cells": grid.cells,
        "mechanisms": grid.mechanisms,
        "datasets": grid.datasets,
        "models": grid.models,
        "tokens": grid.tokens,
        "activations": grid.activations,
        "search": grid.searches,
    }
    for kind, asked in kept.items():
        folders = {path.name for path in (ROOT / "results/reference" / kind).iterdir() if path.is_dir()}
        assert folders and folders <= set(asked), kind
