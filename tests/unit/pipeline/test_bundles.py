"""Bundles: every task once, in an order that works; what waits; and a task that fails or is interrupted."""

import importlib
import inspect
import re
import shutil

import pytest
import yaml

from lmodp.estimate.seconds import START
from lmodp.pipeline import jobs
from lmodp.pipeline.bundles import RULES, WORTH, Bundles, Task
from lmodp.pipeline.layout import Layout
from lmodp.pipeline.run_bundle import do_tasks, failures
from lmodp.records.record import write_json
from lmodp.records.reuse import name_in
from lmodp.records.stage_table import STAGES
from tests.contracts.small_world import ROOT


def layout_of(name, folder, **changes):
    values = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    return Layout.from_values(values | {"results_root": str(folder / "r"), "cache_root": str(folder / "c")} | changes)


def test_rules_jobs_stages_and_functions_share_their_names():
    functions = {name for name in vars(jobs) if not name.startswith("_") and inspect.isfunction(vars(jobs)[name])}
    own = {name for name in functions if vars(jobs)[name].__module__ == jobs.__name__}
    bundled = [job for names in RULES.values() for job in names]
    assert own == set(bundled) and len(bundled) == len(set(bundled))
    assert all(rule in names for rule, names in RULES.items())
    assert {stage for job in bundled for stage in Task(job).stages} == set(STAGES)
    for name, stage in STAGES.items():
        assert stage.module.rpartition(".")[2] == name
        assert inspect.isfunction(getattr(importlib.import_module(stage.module), name))


@pytest.mark.parametrize("grid", ["smoke", "quick", "reference"])
def test_every_task_is_in_one_bundle_that_comes_after_what_it_needs(tmp_path, grid):
    bundles = Bundles(layout_of(grid, tmp_path))
    made = [task for bundle in bundles.all.values() for task in bundle.tasks]
    assert sorted(map(str, made)) == sorted(map(str, bundles.tasks))
    done = set()
    for task in made:
        assert done >= set(bundles.needed(task)), task
        done.add(task)
    assert bundles.making() == list(bundles.all)  # nothing is there yet
    for name, bundle in bundles.all.items():
        assert all(bundles.way[name] > bundles.way[then] for then in bundles.all if name in bundles.before(then))
        assert bundle.seconds > START


def test_a_bundle_is_worth_its_start_and_no_larger(tmp_path):
    bundles = Bundles(layout_of("quick", tmp_path))
    for bundle in bundles.all.values():
        work = bundle.seconds - START
        last = sum(bundles.seconds(task) for task in bundle.tasks if task.thing == bundle.tasks[-1].thing)
        assert work - last < WORTH or bundle.rule in ("prepare_model", "report")
    assert len(bundles.all) < len(bundles.tasks) / 4


def test_cells_of_another_engine_have_a_process_of_their_own_and_experiments_their_own_bundles(tmp_path):
    layout = layout_of("smoke", tmp_path)
    bundles = Bundles(layout)
    for bundle in bundles.all.values():
        cells = [layout.grid.cells[task.thing] for task in bundle.tasks if task.thing in layout.grid.cells]
        assert len({(cell.spec.engine, cell.spec.experiment) for cell in cells}) <= 1
    made = bundles.making(layout.needs.of_experiment("claims"))
    asked = {task.thing for name in made for task in bundles.waiting(name) if task.job.startswith("finetune")}
    assert asked == {cell.id for cell in layout.grid.active if cell.spec.experiment == "claims"}


@pytest.fixture
def small(tmp_path):
    """A grid of three mechanisms whose calibration takes no time."""
    head = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())["experiments"]["head"]
    methods = ["nonprivate", "gaussian", "auto_clipping"]
    return layout_of("smoke", tmp_path, methods=methods, experiments={"head": head})


def certified(layout):
    return next(bundle for bundle in Bundles(layout).all.values() if bundle.rule == "certify_mechanism")


def test_a_task_that_fails_leaves_its_neighbours_alone(small, monkeypatch, capsys):
    first, *others = certified(small).tasks
    right = jobs.calibrate_noise

    def wrong(job):
        if job.id == first.thing:
            raise ZeroDivisionError("a fault")
        right(job)

    monkeypatch.setattr(jobs, "calibrate_noise", wrong)
    done = do_tasks(Bundles(small), [first, *others])
    failed = {item["task"]: item["failure"] for item in done if item["failure"]}
    assert failed[str(first)] == "ZeroDivisionError: a fault"
    assert failed[str(Task("certify_mechanism", first.thing))] == f"needs {first}, which failed" and len(failed) == 2
    told = capsys.readouterr().err
    assert "Traceback" in told and f"lmodp: {first}: " in told
    waiting = set(Bundles(small).waiting(certified(small).name))
    assert waiting == {first, Task("certify_mechanism", first.thing)}
    write_json(small.cache / "b.json", {"tasks": done})
    assert failures([small.cache / "b.json"]) == failed


def test_a_failure_of_an_earlier_bundle_is_not_worked_from(small):
    """Not even where the record of an earlier day is still there."""
    calibrate, certify = certified(small).tasks[:2]
    assert not any(item["failure"] for item in do_tasks(Bundles(small), [calibrate, certify]))
    (item,) = do_tasks(Bundles(small), [certify], before={str(calibrate): "a fault"})
    assert item["failure"] == f"needs {calibrate}, which failed"


def test_a_bundle_that_was_killed_goes_on_where_it_was(small, monkeypatch):
    tasks = certified(small).tasks
    right = jobs.certify_mechanism

    def killed(job):
        if job.id == tasks[2].thing:
            raise KeyboardInterrupt
        right(job)

    monkeypatch.setattr(jobs, "certify_mechanism", killed)
    with pytest.raises(KeyboardInterrupt):
        do_tasks(Bundles(small), tasks)
    assert Bundles(small).waiting(certified(small).name) == list(tasks[3:])


def test_bulky_files_are_made_again_only_for_a_task_that_needs_them(small):
    bundles = Bundles(small)
    source = [task for task in bundles.tasks if task.job == "prepare_dataset"]
    tokens = next(task for task in bundles.tasks if task.job == "tokenize_dataset")
    do_tasks(Bundles(small), [*source, *(task for task in bundles.tasks if task.job in RULES["prepare_model"])])
    assert not {*source, tokens} & Bundles(small).to_do
    shutil.rmtree(small.cache)
    assert {*source, tokens} < Bundles(small).to_do  # cells wait for them
    shown = Layout.from_values({**small.config.model_dump(mode="json"), "unfinished": "pending"})
    assert {task.job for task in Bundles(shown).to_do} <= {*RULES["report"], "map_space", "map_wins"}


def test_results_that_were_collected_before_more_cells_were_finished_are_outdated(small):
    def asked(layout, names):
        made = {"stage": "collect_results", "spec": {}, "inputs": dict.fromkeys(names, "hash")}
        return layout.judge.asked_otherwise(made)

    shown = Layout.from_values({**small.config.model_dump(mode="json"), "unfinished": "pending"})
    assert asked(shown, []) is None and asked(small, []) == "other cells"  # all are still to be computed
    for path in [path for paths in small.needs.inputs("collect_results", "").values() for path in paths]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    finished = [name_in(small.results, path) for path in small.results.rglob("*.json*")]
    assert asked(small, finished) is None and asked(small, finished[1:]) == "other cells"
    assert asked(shown, []) == "other cells"


def test_a_file_asks_for_its_own_bundle(small):
    bundles = Bundles(small)
    cell = next(iter(small.grid.cells))
    (name,) = bundles.making([small.results / "cells" / cell / "evaluation.jsonl"])
    assert name.startswith("finetune_model") and bundles.making([small.results / "none.json"]) == []
    assert {re.sub(r"-\d+$", "", item) for item in bundles.before(name)} == {
        "prepare_dataset",
        "prepare_model",
        "certify_mechanism",
    }
