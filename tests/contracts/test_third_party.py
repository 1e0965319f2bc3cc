"""Third-party methods in a grid: good ones are rows of the table, every other ends as a status with a reason."""

import pytest
import yaml

from lmodp.methods import discovery as registry
from lmodp.pipeline.layout import Layout
from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.reporting.tables.make_table import make_table
from tests.contracts.small_world import ROOT
from tests.contracts.third_party import GAUSSIAN, engine, install, method_text, write
from tests.contracts.whole_grid import outdated, run_grid
from tests.unit.reporting.fabricated import fabricated_results

LESS = "from dataclasses import replace; return replace(plan, noise=plan.noise.scaled(2 / 3))"
TWICE = "from dataclasses import replace; return replace(plan, sampling_rate=2 * plan.sampling_rate)"
SAY_PLAN = (
    '{"noise": honest.noise.to_dict(), "sampling_rate": honest.sampling_rate, "expected_batch_size": '
    'honest.expected_batch_size, "divisor": honest.expected_batch_size}'
)
# What the suite writes itself, said by the engine: other sums of what it drew, a status, another run's name.
SAY_BATCHES = (
    ', "batches": {"steps": honest.steps, "examples": round(honest.steps * honest.expected_batch_size), '
    '"squares": 10**6, "commonest": 1}, "status": "done", "reason": None, "run": "r", "created_by": {}}'
)
LBFGS = """after_noise = "a search along the line"

def build_optimizer(self, parameters, settings, plan):
    import torch

    return torch.optim.LBFGS(parameters)"""
FILES = {
    "third_party": method_text("third_party"),
    "raises": method_text("raises", mechanism="return 1 / 0"),
    "no_mechanism": method_text("no_mechanism", mechanism="return 'gaussian'"),
    "no_import": method_text("no_import", top="import surely_not_installed_anywhere\n"),
    "skip_raises": method_text("skip_raises", body="def skip(self, spec):\n    return {}[spec.pooling]"),
    "needs_more": method_text("needs_more", body="requires = {'surely_not_installed_anywhere': 'pip install it'}"),
    "gaussian_too": method_text("gaussian"),
    "honest_engine": engine("honest_engine"),
    "wrong_rate": engine("wrong_rate", plan=TWICE),
    "hidden_rate": engine("hidden_rate", plan=TWICE, told=SAY_PLAN),
    "hidden_batches": engine("hidden_batches", plan=TWICE, told=SAY_PLAN[:-1] + SAY_BATCHES),
    "less_noise": engine("less_noise", plan=LESS, told=SAY_PLAN),
    "engine_raises": engine("engine_raises", plan="raise RuntimeError('out of order')"),
    "leaves": method_text("leaves", mechanism="raise SystemExit('licence server\\nnot reached')"),
    "engine_leaves": engine("engine_leaves", plan="raise SystemExit(3)"),
    "engine_forgets": engine("engine_forgets").replace("train(model,", "train(__import__('copy').deepcopy(model),"),
    "engine_stands": engine("engine_stands").replace(
        "train(model,", "train(model if plan.steps == 1 else __import__('copy').deepcopy(model),"
    ),
    "skips": method_text("skips", body="def skip(self, spec):\n    return 'not\\n  here'"),
    "too_little": method_text("too_little", mechanism=GAUSSIAN.replace('("gaussian")', '("gaussian").scaled(0.4)')),
    "odd_details": method_text("odd_details", mechanism=GAUSSIAN[:-1] + ", details={1: {2}})"),
    "odd_skip": method_text("odd_skip", body="def skip(self, spec):\n    return True"),
    "odd_points": method_text("odd_points", body="def published_points(self, **data):\n    return [(3, 1e-5)]"),
    "odd_step": method_text("odd_step", body=LBFGS),
    "engine_silent": engine("engine_silent", told='{"batch_sizes": float("nan")}'),
}
INSTALLED = method_text("installed_method")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    for name in ("plugins", "site"):
        (folder / name).mkdir()
    write(folder / "plugins", **FILES)
    install(folder / "site", package="somebodys_package", name="installed_method", text=INSTALLED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        registry.find_methods.cache_clear()
        yield run_grid(configuration(folder))
    registry.find_methods.cache_clear()


def configuration(folder):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    experiment = {**values["experiments"]["head"], "repetitions": 1}
    methods = ["laplace", *(name for name in FILES if name != "gaussian_too"), "gaussian_too", "installed_method"]
    return {
        **values,
        "results_root": str(folder / "results"),
        "cache_root": str(folder / "cache"),
        "methods_folder": str(folder / "plugins"),
        "methods": methods,
        "experiments": {"head": experiment},
        "privacy": {"epsilon": [3], "delta": [1e-6], "calibrations": ["verified"]},
    }


@pytest.fixture(scope="module")
def rows(outcome):
    return {row["method"]: row for row in outcome[1]["cells"]}


@pytest.mark.parametrize("name", ["laplace", "third_party", "installed_method", "honest_engine"])
def test_a_good_third_party_method_is_a_row_like_any_other(rows, name):
    assert rows[name]["status"] == "done" and 0 <= rows[name]["scores"]["accuracy"]["mean"] <= 1
    assert 0 < rows[name]["verified_upper"] <= 3


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("raises", "failed", "mechanism() of 'raises' raised ZeroDivisionError: division by zero (raises.py, line "),
        ("no_mechanism", "failed", "returned str, must return a Mechanism"),
        ("no_import", "failed", "import error: ModuleNotFoundError: No module named 'surely_not_installed_anywhere'"),
        ("skip_raises", "failed", "skip() of 'skip_raises' raised KeyError: 'mean'"),
        ("gaussian_too", "failed", "not a method: name = 'gaussian': must be 'gaussian_too'"),
        ("needs_more", "skipped", "surely_not_installed_anywhere is not installed. Install it: pip install it"),
        ("wrong_rate", "failed", "what ran is not what was certified: sampling_rate: certified 0.25, ran 0.5"),
        ("hidden_rate", "failed", "what ran is not what was certified: examples drawn"),
        ("hidden_batches", "failed", "what ran is not what was certified: examples drawn"),
        ("less_noise", "failed", "what ran is not what was certified: share of noise below its median"),
        ("engine_raises", "failed", "the engine raised RuntimeError: out of order"),
        ("leaves", "failed", "mechanism() of 'leaves' raised SystemExit: licence server not reached (leaves.py, line "),
        ("engine_leaves", "failed", "the engine raised SystemExit: 3"),
        ("engine_forgets", "failed", "as far without data as with them: the engine learns from nobody"),
        ("engine_stands", "diverged", "no trained weight moved in 6 steps"),
        ("skips", "skipped", "not here"),
        ("too_little", "failed", ", above the target 3. Return what target.calibrate() gives or more noise"),
        ("odd_details", "failed", "gives details {1: {2}}, must be a table of plain JSON values"),
        ("odd_skip", "failed", "skip() of 'odd_skip' returned True, must return a reason or None"),
        ("odd_points", "failed", "published_points() returned (3, 1e-05), must return PublishedPoint("),
        ("odd_step", "failed", "a search along the line: the optimiser's step(): TypeError"),
        ("engine_silent", "failed", "the engine's record is not plain JSON"),
    ],
)
def test_every_other_ends_as_a_status_with_a_reason(rows, name, status, reason):
    assert rows[name]["status"] == status
    assert reason in rows[name]["reason"]


def test_the_law_of_the_released_sum_is_what_gives_away_too_little_noise(outcome):
    layout, _ = outcome
    checks = {}
    for name in ("less_noise", "honest_engine"):
        cell = next(cell for cell in layout.grid.active if cell.spec.method == name)
        _, (line,) = read_runs(cell_path(layout.results, cell.id, "verify_run"))
        checks[name] = {check["name"]: check["agrees"] for check in line["checks"]}
    name = "law of released sums, distance from the noise"
    assert checks["honest_engine"][name] and not checks["less_noise"][name]


def test_all_of_them_are_in_the_table(outcome, rows, tmp_path):
    make_table(outcome[1], tmp_path)
    table = (tmp_path / "comparison.md").read_text()
    for row in rows.values():
        assert row["method_title"] in table


PROVENANCE = {"schema_version", "stage", "sha256", "created_by", "inputs"}


def test_fabricated_results_have_the_shape_of_collected_ones(outcome):
    """The tests of tables, figures and report make up theirs: the same keys, and a value of each kind that occurs."""
    collected, made_up = outcome[1], fabricated_results()
    assert made_up.keys() == collected.keys() - PROVENANCE
    for part in ("methods", "experiments", "cells", "mechanisms"):
        found, expected = kinds(made_up[part]), kinds(collected[part])
        assert found.keys() == expected.keys(), part
        assert {key: expected[key] - found[key] for key in expected if not expected[key] <= found[key]} == {}, part


def kinds(rows):
    """The keys of rows, each of which has all of them, and the kinds of their values, None apart."""
    rows = list(rows.values() if isinstance(rows, dict) else rows)
    assert all(row.keys() == rows[0].keys() for row in rows)
    return {key: {kind(row[key]) for row in rows if row[key] is not None} for key in rows[0]}


def kind(value):
    return {int: float}.get(type(value), type(value))


@pytest.mark.parametrize(("family", "reruns"), [("gaussian", False), ("laplace", True)])
def test_a_changed_third_party_method_reruns_what_depends_on_it(outcome, tmp_path, family, reruns):
    """The same results, the methods in another folder, one of them with another text."""
    layout, _ = outcome
    text = FILES["third_party"].replace('calibrate("gaussian")', f'calibrate("{family}")')
    write(tmp_path, **{**FILES, "third_party": text})
    moved = Layout.from_values({**layout.config.model_dump(mode="json"), "methods_folder": str(tmp_path)})
    for name, changed in (("third_party", reruns), ("honest_engine", False)):
        cell = next(cell for cell in moved.grid.active if cell.spec.method == name)
        assert outdated(moved, f"mechanisms/{cell.mechanism}/noise.json") is changed
