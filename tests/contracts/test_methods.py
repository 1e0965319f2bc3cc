"""The contract suite: every method passes it, and `pytest --method NAME` runs it on one.

The contract is baselines/README.md; each test is one line of it.
"""

import json
import math
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from lmodp.accounting import rdp_upper_of
from lmodp.auditing.conformance import compare_run
from lmodp.data.cards import DATASETS
from lmodp.mechanisms import Noise, Releases, noise_from_dict, released
from lmodp.methods.contract import OWN_ENGINE, Method, missing_package, why_left_out
from lmodp.methods.discovery import check_method, find_methods, get_method
from lmodp.specs import MechanismSpec
from lmodp.stages.certify_mechanism import certify_mechanism
from lmodp.vocabulary import UNTRAINED
from tests.contracts.small_world import (
    ROOT,
    SEEDS,
    grid_of,
    noise_record,
    run_cell,
    steep_step,
    tiny_model,
    zero_sums,
)

pytestmark = pytest.mark.contract
PROMPT = {"prompt": "{text} {mask}", "words": ["bad", "good"]}  # of a method that trains nothing
SLOW_TO_IMPORT = {"torch", "transformers", "numpy", "scipy", "pandas", "opacus", "dp_accounting", "lmodp.mechanisms"}


def pytest_generate_tests(metafunc):
    folder, one = (metafunc.config.getoption(name) for name in ("--methods-folder", "--method"))
    metafunc.parametrize("name", [one] if one else sorted(find_methods(folder)), scope="module")


@pytest.fixture(scope="module")
def folder(request):
    return request.config.getoption("--methods-folder")


@pytest.fixture(scope="module")
def method(name, folder):
    """The method, or a skip where an optional package is missing: that is a status, not a fault."""
    method = get_method(name, folder)
    check_method(method, name)
    reason = missing_package(method)
    if reason:
        pytest.skip(reason)
    return method


@pytest.fixture(scope="module")
def grid(method, folder):
    return grid_of([method.name], folder=folder, prompt=PROMPT if method.trainable == UNTRAINED else None)


@pytest.fixture(scope="module")
def answers(grid):
    """Every computed cell of the method with what calibrate_noise answered."""
    return [(cell, noise_record(grid, cell)) for cell in grid.active]


def test_it_states_its_name_title_and_reference(name, folder):
    found = find_methods(folder)[name]
    assert not found.broken, found.status
    assert type(found.method).__doc__, "say in a docstring what the method is"
    if missing_package(found.method):
        assert all(found.method.requires.values()), "state an install line"


@cache
def imported_by_listing(folder):
    code = (
        f"import sys; from lmodp.methods.discovery import find_methods; find_methods({folder!r}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


def test_listing_it_imports_nothing_slow(name, folder):
    laws = {law.__module__ for law in Noise.laws.values()} & {
        type(item.method).__module__ for item in find_methods(folder).values()
    }
    allowed = {"numpy", "scipy", "lmodp.mechanisms"} if laws else set()  # which a noise of one's own needs
    assert not (SLOW_TO_IMPORT - allowed) & imported_by_listing(folder), "import it inside the function that needs it"


def test_every_target_has_an_answer_or_a_reason(method, grid):
    cells = list(grid.cells.values())
    assert cells
    for cell in cells:
        if not method.private:
            assert cell.spec.calibration is None
        elif cell.spec.calibration not in method.calibrations:
            assert cell.skip and cell.skip_status == "skipped"
    assert any(cell.skip is None for cell in cells), [cell.skip for cell in cells]


def test_it_turns_a_target_into_a_noise_or_says_why_not(method, answers):
    for _, record in answers:
        assert record["status"] in ("done", "skipped"), record["reason"]
        assert record["status"] == "done" or record["reason"]
        assert (record["noise"] is not None) is (method.private and record["status"] == "done")
        if record["noise"]:
            assert isinstance(noise_from_dict(json.loads(json.dumps(record["noise"]))), Noise)
            passes = Releases.from_dict(record.get("releases")).step.forward_passes
            assert method.forward_passes == passes, "state the forward passes of a step, for estimates of time"
    assert any(record["status"] == "done" for _, record in answers)


def test_its_noise_law_agrees_with_itself(answers):
    """Density, survival and sampler are of one law, symmetric and falling; its JSON form gives it back."""
    for law in {noise_from_dict(record["noise"]) for _, record in answers if record["noise"]}:
        exponent = np.linspace(0, 12, 100)
        ends = law.inverse_log_survival(exponent)
        assert -law.log_survival(ends) == pytest.approx(exponent, rel=1e-3, abs=1e-6)
        x = np.unique(np.linspace(ends[:-1], ends[1:], 8))
        density = law.density(x)
        assert np.array_equal(density, law.density(-x)), "the density is not symmetric"
        assert np.all(np.diff(density) <= 1e-6 * density[:-1]), "the density rises on x > 0"
        below = np.concatenate([[0.0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2)])
        within = 2 * np.interp(ends, x, below)
        assert within == pytest.approx(1 - law.survival(ends), abs=1e-3), "density and survival are not of one law"
        assert noise_from_dict(json.loads(json.dumps(law.to_dict()))) == law


def test_the_same_target_has_the_same_answer(grid, answers):
    cell, record = answers[-1]
    assert noise_record(grid, cell) == record


def test_a_verified_target_is_reached_from_the_private_side(method, answers):
    reached = [record for cell, record in answers if cell.spec.calibration == "verified" and record["noise"]]
    assert reached or "verified" not in method.calibrations
    for record in reached:
        spec = MechanismSpec.from_dict(record["spec"])
        upper = rdp_upper_of(spec.plan(**released(record)))
        assert 0.85 * spec.epsilon <= upper <= spec.epsilon  # exact accounting is held to what a Gaussian has exactly


@pytest.fixture(scope="module")
def chosen(answers):
    """The last answer of each calibration, which stands for the others where a test is slow."""
    made = [(cell, record) for cell, record in answers if cell.spec.trainable != UNTRAINED]
    return {cell.spec.calibration: (cell, record) for cell, record in made if record["status"] == "done"}


def test_its_certificate_has_every_answer(grid, chosen):
    for cell, record in chosen.values():
        if record["noise"]:
            certificate = certify_mechanism(grid.mechanisms[cell.mechanism], record)["certificate"]
            claimed, verified = certificate["claimed"], certificate["verified"]
            assert claimed["epsilon_run"] is None or claimed["epsilon_run"] > 0
            assert claimed["epsilon_run"] is not None or claimed["reason"]
            assert verified["upper"] is None or 0 < verified["lower"] <= verified["upper"]
            assert math.isfinite(certificate["noise"]["sigma_effective"])


def test_the_sum_of_a_step_is_bounded_however_steep_the_loss(method, grid, chosen):
    """By the clip norm for each example, which a steep loss reaches; without privacy nothing is bounded."""
    for cell, record in chosen.values():
        moved, most = steep_step(grid, cell, record)
        assert (moved == pytest.approx(most, rel=0.01)) is method.private


def test_its_noise_comes_from_the_key_of_the_noise(method, grid, chosen):
    """A public or repeated seed lets anybody subtract the noise: no number may be the same under another key."""
    for cell, record in chosen.values():
        if method.private:
            keys = (SEEDS, {**SEEDS, "noise": SEEDS["noise"] + 1})
            one, other = (zero_sums(grid, cell, record, seeds) for seeds in keys)
            assert one.shape == other.shape and np.mean(one == other) < 1e-3


def test_what_it_trains_with_is_what_was_certified(method, grid, chosen):
    for cell, record in chosen.values():
        before = tiny_model(cell.spec.trainable).state_dict()
        model, ran, certified = run_cell(grid, cell, record)
        result = compare_run(certified, ran, engine=method.engine)
        assert result["conforms"], result["reason"]
        changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
        assert changed == {name for name, value in model.named_parameters() if value.requires_grad}
        if method.engine != OWN_ENGINE:
            assert ran["released_law"]["draws"] >= 1000


def test_its_published_points_have_names_of_their_own(method):
    points = {
        name: method.published_points(dataset=name, dataset_size=card.train_size) for name, card in DATASETS.items()
    }
    assert any(points.values()) is (type(method).published_points is not Method.published_points), "points of no data"
    for found in points.values():
        assert len({point.setting for point in found}) == len(found)
        assert all(point.calibration in method.calibrations and point.epsilon > 0 for point in found)


def test_skip_never_raises(method, grid):
    for cell in grid.cells.values():
        for task, architecture in (
            ("classification", "roberta"),
            ("table_to_text", "gpt2"),
            ("classification", "llama"),
        ):
            left_out = why_left_out(method, cell.spec, task=task, architecture=architecture)
            assert left_out is None or left_out.status == "skipped", left_out.reason
