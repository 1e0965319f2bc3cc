"""A noise law of one's own, written as baselines/README.md shows it: what is said of it follows from what it is."""

import json
import re
import warnings
from importlib import import_module

import numpy as np
import pytest
from scipy.special import gamma, gammaincc, gammainccinv

from lmodp.accounting import verified_run
from lmodp.auditing.conformance import compare_run
from lmodp.cli import main
from lmodp.errors import InvalidValue, Unsupported
from lmodp.mechanisms import Gaussian, Histogram, Noise, load_noise, noise_from_dict, released, sampler_table
from lmodp.methods import discovery
from lmodp.stages import audit_mechanism as audit_module
from lmodp.stages.audit_mechanism import audit_mechanism
from lmodp.stages.certify_mechanism import certify_mechanism
from tests.contracts import test_methods as contract
from tests.contracts.small_world import ROOT, grid_of, noise_record, run_cell

pytestmark = pytest.mark.contract
sampler_module = import_module("lmodp.mechanisms.sampler_table")  # the room exports its function by this name
AUDIT = {"trials": 2000, "sampler_trials": 200, "coordinates": 4, "confidence": 0.95}
RUN = {"sampling_rate": 0.1, "steps": 10, "delta": 1e-6}


def readme_examples():
    text = (ROOT / "baselines/README.md").read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return {re.search(r"baselines/(\w+\.py)", example)[1]: example for example in found}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The grid of the README's examples, their cells and what calibrate_noise answers."""
    folder = tmp_path_factory.mktemp("methods")
    for name, example in readme_examples().items():
        if not (ROOT / "baselines" / name).exists():  # else a reader has saved it there, and it is found
            (folder / name).write_text(example, encoding="utf-8")
    discovery.find_methods.cache_clear()
    grid = grid_of(["cubic", "ball"], folder=folder if any(folder.iterdir()) else None)
    cells = {cell.spec.method: cell for cell in grid.active}
    yield {name: (grid, cell, noise_record(grid, cell)) for name, cell in cells.items()}
    discovery.find_methods.cache_clear()
    del Noise.laws["cubic"]


@pytest.fixture(scope="module")
def law(shown):
    return released(shown["cubic"][2])["noise"]


@pytest.mark.parametrize("name", readme_examples())
def test_what_the_readme_shows_keeps_the_contract(shown, name):
    grid, cell, record = shown[name.removesuffix(".py")]
    contract.test_it_turns_a_target_into_a_noise_or_says_why_not(grid.methods[cell.spec.method], [(cell, record)])


def test_density_survival_and_sampler_are_of_one_law(law):
    x = np.linspace(-8, 8, 200_001) * law.std
    assert np.trapezoid(law.density(x), x) == pytest.approx(1, abs=1e-9)
    inner = np.array([0.1, 0.7, 2.0]) * law.std
    between = [np.trapezoid(law.density(part), part) for part in (np.linspace(-a, a, 20_001) for a in inner)]
    assert 1 - law.survival(inner) == pytest.approx(between, rel=1e-6)
    exponent = np.array([1e-6, 0.2, 3.0, 36.0])
    assert -law.log_survival(law.inverse_log_survival(exponent)) == pytest.approx(exponent, rel=1e-9)
    assert sampler_table(law).invert(exponent) == pytest.approx(law.inverse_log_survival(exponent), rel=1e-7)
    assert noise_from_dict(json.loads(json.dumps(law.to_dict()))) == law


@pytest.mark.parametrize(
    ("function", "wrong", "told"),
    [
        ("log_density", lambda honest: lambda self, x: honest(self, np.asarray(x) / 1.1), "not of one law"),
        ("log_density", lambda honest: lambda self, x: honest(self, np.asarray(x) - 0.1), "not symmetric"),
        ("inverse_log_survival", lambda honest: lambda self, e: 1.1 * honest(self, e), None),
        ("to_dict", lambda honest: lambda self: {**honest(self), "scale": 1.0}, None),
    ],
)
def test_a_law_whose_parts_disagree_is_found_by_the_contract_suite(shown, law, monkeypatch, function, wrong, told):
    answers = [(None, shown["cubic"][2])]
    contract.test_its_noise_law_agrees_with_itself(answers)
    monkeypatch.setattr(type(law), function, wrong(getattr(type(law), function)))
    with pytest.raises(AssertionError, match=told):
        contract.test_its_noise_law_agrees_with_itself(answers)


@pytest.mark.parametrize("name", ["variance", "mean_abs", "entropy", "fisher_information"])
def test_moments_that_are_not_stated_are_computed(name):
    for known in (Gaussian(std=1.7), load_noise("lmo-0.3")):
        assert getattr(Noise, name).fget(known) == pytest.approx(getattr(known, name), rel=1e-5)


@pytest.mark.parametrize(
    ("function", "wrong", "told"),
    [
        (
            "inverse_log_survival",
            lambda honest: lambda self, e: 1.1 * honest(self, e),
            "the sampler is not of this law",
        ),
        (
            "log_density",
            lambda honest: lambda self, x: honest(self, x) + 0.01,
            "density and survival are not of one law",
        ),
    ],
)
def test_a_law_whose_parts_disagree_is_not_drawn_and_told_at_once(law, monkeypatch, function, wrong, told):
    monkeypatch.setattr(type(law), function, wrong(getattr(type(law), function)))
    with pytest.raises(Unsupported, match=told):
        sampler_table(law.scaled(1.1))


def test_a_law_that_cannot_be_drawn_is_refused_before_its_audit(shown, law, monkeypatch):
    grid, cell, record = shown["cubic"]
    honest = type(law).inverse_log_survival
    monkeypatch.setattr(type(law), "inverse_log_survival", lambda self, exponent: 1.1 * honest(self, exponent))
    monkeypatch.setattr(audit_module, "audit_noise", lambda *a, **b: pytest.fail("the audit began"))
    record = {**record, "noise": law.scaled(1.01).to_dict()}
    with pytest.raises(Unsupported, match="the sampler is not of this law"):
        audit_mechanism(grid.mechanisms[cell.mechanism], record, {}, settings=AUDIT, base_seed=1)


def test_a_law_without_a_smooth_density_is_refused_by_coarse_tables(monkeypatch):
    """The finest tables have 800 thousand pieces, and their errors can be foreseen from coarser ones."""
    jumps, made = Histogram(width=1.0, masses=(0.5, 0.25), ratio=0.5), []
    real = sampler_module._build
    monkeypatch.setattr(sampler_module, "_build", lambda law, step: made.append(step) or real(law, step))
    with pytest.raises(Unsupported, match="or its density is not smooth"):
        sampler_table(jumps)
    assert max(made) <= 2**7


def test_a_density_with_a_kink_at_0_is_drawn_to_the_accuracy_of_its_median():
    class General(Noise):
        def scaled(self, factor):
            return self

        def log_density(self, x):
            return -(np.abs(np.asarray(x)) ** 1.5) - np.log(2 * gamma(5 / 3))

        def log_survival(self, x):
            return np.log(gammaincc(2 / 3, np.maximum(x, 0.0) ** 1.5))

        def inverse_log_survival(self, exponent):
            return gammainccinv(2 / 3, np.exp(-np.asarray(exponent))) ** (2 / 3)

    General.family = "general"  # given later, so that it is not known to others
    law, exponent = General(), np.geomspace(1e-6, 36, 500)
    found, exact = sampler_table(law).invert(exponent), law.inverse_log_survival(exponent)
    assert np.all(np.abs(found - exact) <= 2**-25 * np.maximum(exact, law.inverse_log_survival(np.log(2))))


def test_the_inverse_of_a_survival_is_found_without_a_closed_form(law):
    exponent = np.array([0.0, 1e-3, 0.3, 3.0, 30.0])
    for known in (law, law.scaled(1e-20), Gaussian(std=1e9), load_noise("lmo-3-as_drawn")):
        found, closed = Noise.inverse_log_survival(known, exponent), known.inverse_log_survival(exponent)
        assert found == pytest.approx(closed, rel=1e-12, abs=0)


def test_a_law_of_a_methods_file_is_accounted_for_by_the_commands(law, tmp_path, capsys, monkeypatch):
    (tmp_path / "noise.json").write_text(json.dumps(law.to_dict()), encoding="utf-8")
    (tmp_path / "cubic.py").write_text(readme_examples()["cubic.py"], encoding="utf-8")
    monkeypatch.delitem(Noise.laws, "cubic")
    run = ["--sampling-rate=0.1", "--steps=3", "--delta=1e-6", "--dimension=1", "--json"]
    ask = ["account", f"--noise={tmp_path / 'noise.json'}", *run]
    assert main(ask) == 2 and "--methods-folder=DIR" in capsys.readouterr().err
    assert main([*ask, f"--methods-folder={tmp_path}"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["verified"]["lower"]
    shaped = ["--family=laplace_mixture", f"--shape={tmp_path / 'noise.json'}", "--accountant=verified", "--epsilon=1"]
    with warnings.catch_warnings(action="error"):
        assert main(["calibrate", *shaped, *run[:3], f"--methods-folder={tmp_path}"]) == 2
    assert "no bound is proven for this family" in capsys.readouterr().err


def test_its_row_shows_all_but_the_upper_end(shown):
    grid, cell, record = shown["cubic"]
    spec = grid.mechanisms[cell.mechanism]
    found = {"status": "done", "reason": None, **certify_mechanism(spec, record)}
    verified = found["certificate"]["verified"]
    assert verified["status"] == "unsupported" and verified["upper"] is None and "cubic" in verified["reason"]
    assert verified["lower"] > 0.1 and found["certificate"]["claimed"]["epsilon_run"] > 0
    audit = audit_mechanism(spec, record, found, settings=AUDIT, base_seed=1)["audit"]
    assert audit["consistent_with_verified"] is True and audit["refutes_claimed"] is False
    _, ran, certified = run_cell(grid, cell, record)
    assert compare_run(certified, ran)["conforms"]


def test_spherical_noise_of_ones_own_release_has_both_ends(shown):
    grid, cell, record = shown["ball"]
    certificate = certify_mechanism(grid.mechanisms[cell.mechanism], record)["certificate"]
    verified = certificate["verified"]
    assert verified["status"] == "ok" and certificate["plan"]["dimension"] == 8
    found = {"status": "done", "reason": None, "certificate": certificate}
    settings = {**AUDIT, "trials": 20_000}
    audit = audit_mechanism(grid.mechanisms[cell.mechanism], record, found, settings=settings, base_seed=1)["audit"]
    assert audit["consistent_with_verified"] is True and audit["epsilon_lower"] > 0 and audit["sampler"] is None
    assert 0.85 * 3 < 0.98 * verified["upper"] < verified["lower"] <= verified["upper"] <= 3
    _, ran, certified = run_cell(grid, cell, record)
    assert compare_run(certified, ran)["conforms"]


def test_one_number_has_both_ends(law):
    found = verified_run(law, dimension=1, **RUN)
    assert found.status == "ok" and 0 < found.lower <= found.upper <= 1.01 * found.lower


def test_a_family_has_one_law():
    with pytest.raises(InvalidValue, match="family = 'gaussian': is the family of lmodp.mechanisms.gaussian.Gaussian"):
        type("Mine", (Noise,), {"family": "gaussian"})
    with pytest.raises(InvalidValue, match="is not a noise family. Did you mean 'gaussian'?"):
        noise_from_dict({"family": "gausian", "std": 1.0})
