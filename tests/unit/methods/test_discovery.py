"""Methods are found by being there, and nothing a method does breaks the listing."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from lmodp.cli import main
from lmodp.errors import InvalidValue, MissingFile
from lmodp.methods import discovery as registry
from lmodp.methods.contract import BrokenMethod, describe_error, points_of, why_left_out
from lmodp.methods.discovery import find_methods, get_method, law_files, load_methods, method_files
from lmodp.records.stage_table import method_files_of
from lmodp.vocabulary import CALIBRATIONS, CLIPPINGS
from tests.contracts.small_world import ROOT
from tests.contracts.third_party import install, method_text, write

TABLE = {
    "nonprivate",
    "public_prompt",
    "gaussian",
    "laplace",
    "lmo_dp",
    "lmo_dp_optimised",
    "lmo_dp_as_drawn",
    "plrv_o",
    "plrv_o_as_drawn",
    "lap2",
    "auto_clipping",
    "bitfit",
    "lora",
    "opacus",
    "private_transformers",
    "template",
    "banded",
    "zeroth_order",
    "zeroth_order_laplace",
    "zeroth_order_lmo",
    "zeroth_order_many",
    "adaptive_clipping",
    "adam_bc",
    "spherical",
    "least_squares",
}


VARIANT = """
from lmodp.baselines.gaussian import GaussianVariant


class Odd(GaussianVariant):
    name = "odd"
    title = "method odd"
    reference = "nowhere"
    mechanism_of = "laplase"
"""
MECHANISM = "    def mechanism(self, target):\n        return None\n"


@pytest.fixture(autouse=True)
def fresh():
    find_methods.cache_clear()
    yield
    find_methods.cache_clear()


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_the_suites_own_methods_are_all_there():
    assert set(load_methods()) == TABLE
    assert all(path.parent == registry.BASELINES for path in method_files().values())


def test_listing_is_cheap():
    """User time beyond Python's own start, which other processes on the machine do not add to."""

    def seconds(code):
        times = []
        for _ in range(3):
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    f"{code}; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)",
                ],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            times.append(float(done.stdout))
        return min(times)

    assert seconds("from lmodp.methods.discovery import find_methods; find_methods()") - seconds("pass") < 0.3


def test_a_folder_and_an_installed_package_bring_methods(tmp_path, site):
    write(tmp_path, in_a_folder=method_text("in_a_folder"))
    install(site, package="package_with_one", name="in_a_package", text=method_text("in_a_package"))
    found = find_methods(str(tmp_path))
    assert found["in_a_folder"].status == found["in_a_package"].status == "ok"
    assert found["in_a_package"].origin == "entry point 'package_with_one' of package_with_one"
    assert method_files(str(tmp_path))["in_a_package"] == site / "package_with_one.py"
    assert "in_a_folder" not in find_methods()


def test_an_entry_point_may_name_the_class(site):
    install(site, package="package_with_class", name="named_class", text=method_text("named_class"))
    info = site / "package_with_class-1.0.dist-info/entry_points.txt"
    info.write_text("[lmodp.methods]\nnamed_class = package_with_class:Mine\n")
    assert find_methods()["named_class"].status == "ok"


def test_a_name_defined_twice_is_neither_of_the_two(site):
    install(site, package="second_gaussian", name="gaussian", text=method_text("gaussian"))
    found = find_methods()["gaussian"]
    assert found.status == (
        "duplicate name: 'gaussian' is defined by gaussian.py and entry point 'second_gaussian' of "
        "second_gaussian. Rename all but one."
    )
    assert isinstance(get_method("gaussian"), BrokenMethod) and "gaussian" not in method_files()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("import surely_not_installed_anywhere", "import error: ModuleNotFoundError"),
        ("1 / 0", "import error: ZeroDivisionError: division by zero (odd.py, line 1)"),
        ("def f(:", "import error: SyntaxError"),
        ("x = 1", "not a method: 'odd' defines 0 methods, must define one"),
        (
            method_text("odd") + method_text("odd").replace("class Mine", "class Yours"),
            "not a method: 'odd' defines 2 methods",
        ),
        (method_text("even"), "not a method: name = 'even': must be 'odd'"),
        (method_text("odd").replace('title = "method odd"', ""), "not a method: class = 'Mine': must state title"),
        (
            method_text("odd", body="clipping = 'sharp'"),
            "not a method: clipping = 'sharp': must be among flat, automatic, none",
        ),
        (
            method_text("odd", body="clipping = 'none'"),
            "does not bound the sensitivity, so no privacy statement is possible",
        ),
        (
            method_text("odd", body="calibrations = ('hoped',)"),
            "calibrations = ('hoped',): must be among claimed, verified",
        ),
        (
            method_text("odd", body="optimizer = 'adam_bc'"),
            "optimizer = 'adam_bc': is not in the contract and would be ignored. Did you mean 'build_optimizer'?",
        ),
        (
            method_text("odd", body="clip = 'flat'"),
            "is not in the contract and would be ignored. Did you mean 'clipping'?",
        ),
        (
            method_text("odd", body="def __init__(self):\n    self.clippings = 'flat'"),
            "clippings = 'flat': is not in the contract and would be ignored. Did you mean 'clipping'?",
        ),
        (
            method_text("odd", body="def published_point(self, **data):\n    return ()"),
            "Did you mean 'published_points'? A helper of your own begins with an underscore.",
        ),
        (method_text("odd", body="after_noise = 'a filter'"), "a method has both or neither"),
        (
            method_text("odd", body="def build_optimizer(self, parameters, settings, plan):\n    return None"),
            "after_noise = None: says in a few words what build_optimizer() returns",
        ),
        ("import sys; sys.exit('no licence')", "import error: SystemExit: no licence (odd.py, line 1)"),
        ("raise ValueError('first\\nsecond')", "import error: ValueError: first second"),
        (method_text("odd", body="calibrations = ()"), "must not be empty for a method that defines mechanism()"),
        (method_text("odd", body="calibrations = ('verified')"), "calibrations = 'verified': must be a tuple of texts"),
        (method_text("odd", body="tasks = 'classification'"), "must be a tuple of texts, or None for all"),
        (method_text("odd", body="requires = ['numpy']"), "requires = ['numpy']: must be a table of texts"),
        (method_text("odd", body="not_under = 'no claim'"), "not_under = 'no claim': must be a table of texts"),
        (method_text("odd", body="forward_passes = '2K'"), "must be a whole number above 0, or None"),
        (method_text("odd", body="needs_search = 'yes'"), "needs_search = 'yes': must be True or False"),
        (method_text("odd", body="trainable = ['head']"), "trainable = ['head']: must be None, one of full, head"),
        (method_text("odd", body="trainable = 'heads'"), "trainable = 'heads': must be None, one of full, head"),
        (method_text("odd", body="trainable = {'layers': 2}"), "or a table with one of them"),
        (method_text("odd", body="engine = 'other'"), "engine = 'other': names what load_engine() returns"),
        (method_text("odd", body="def load_engine(self):\n    return None"), "a method has both or neither"),
        (method_text("odd", title="Gaussian"), "title = 'Gaussian': is that of gaussian.py: their rows would look"),
        (VARIANT, "mechanism_of = 'laplase': must be a method that is private, and not broken. Did you"),
        (VARIANT.replace("laplase", "nonprivate"), "mechanism_of = 'nonprivate': must be a method that is private"),
        (VARIANT + MECHANISM, "mechanism_of = 'laplase': would replace the mechanism() that the class defines"),
        (
            VARIANT.replace('    mechanism_of = "laplase"\n', "") + MECHANISM,
            "mechanism_of = 'gaussian': would replace the mechanism() that the class defines. Set mechanism_of = None",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_its_status(tmp_path, text, status):
    write(tmp_path, odd=text)
    found = find_methods(str(tmp_path))
    assert status in found["odd"].status and found["odd"].broken
    assert found["gaussian"].status == "ok"


def test_helpers_with_an_underscore_are_the_methods_own(tmp_path):
    write(tmp_path, mine=method_text("mine", body="_factor = 2\ndef _half(self):\n    return 0.5"))
    assert find_methods(str(tmp_path))["mine"].status == "ok"


@pytest.mark.parametrize(
    "body", ["_own = 1", "mechanism_of = None", "trainable = {'last_layers': 2}", "requires = {'numpy.linalg': 'x'}"]
)
def test_what_the_contract_allows_is_no_fault(tmp_path, body):
    write(tmp_path, mine=method_text("mine", body=body), odd=VARIANT.replace("laplase", "laplace"))
    assert {find_methods(str(tmp_path))[name].status for name in ("mine", "odd")} == {"ok"}


def test_the_parts_of_the_contract_are_those_that_can_be_trained():
    from lmodp.models.trainable import PARTS

    assert set(registry._PARTS) == set(PARTS)


def test_a_module_of_a_missing_package_is_missing_too(tmp_path):
    write(tmp_path, needy=method_text("needy", body="requires = {'surely_not_there.linalg': 'pip install it'}"))
    assert "surely_not_there.linalg is not installed" in find_methods(str(tmp_path))["needy"].status


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ("[(3, 1e-5)]", "(3, 1e-05), must return PublishedPoint("),
        ("[PublishedPoint(setting='a', epsilon=-1)]", "epsilon must be above 0 and finite"),
        ("[PublishedPoint(setting='a', epsilon='3')]", "TypeError"),
        ("[PublishedPoint(setting='a', epsilon=1, calibration='x')]", "calibration one of claimed, verified"),
        ("2 * [PublishedPoint(setting='a', epsilon=1)]", "must be unique"),
    ],
)
def test_points_that_are_none_break_their_method_alone(tmp_path, points, told):
    body = "def published_points(self, **data):\n    from lmodp.methods.contract import PublishedPoint"
    write(tmp_path, odd=method_text("odd", body=f"{body}\n    return {points}"))
    method, found = points_of(get_method("odd", str(tmp_path)), {"sst2": 100})
    assert isinstance(method, BrokenMethod) and told in method.reason and found == {}


def test_the_file_of_a_noise_is_one_of_every_stage_that_computes_with_it(tmp_path):
    law = "from lmodp.mechanisms.noise import Noise\n\n\nclass Own(Noise):\n    family = 'own_law'\n"
    shares = VARIANT.replace("laplase", "mine")
    write(tmp_path, mine=method_text("mine", top=law), plain=method_text("plain"), odd=shares)
    files, laws = method_files(str(tmp_path)), law_files(str(tmp_path))
    assert laws == {"mine": (files["mine"],), "odd": (files["mine"],)}
    for stage in ("certify_mechanism", "finetune_model", "verify_run", "audit_mechanism", "audit_training"):
        for name in ("mine", "odd"):
            assert method_files_of(stage, {"method": name}, files, laws) == (files["mine"],)
        assert method_files_of(stage, {"method": "plain"}, files, laws) == ()
    assert method_files_of("evaluate_model", {"method": "mine"}, files, laws) == ()
    assert method_files_of("calibrate_noise", {"method": "odd"}, files, laws) == (files["odd"],)
    follows = {"method": "odd", "after_noise": "a filter"}
    assert set(method_files_of("finetune_model", follows, files, laws)) == {files["odd"], files["mine"]}


def test_no_method_of_the_suite_makes_another_file_take_part():
    assert law_files() == {}


@pytest.mark.parametrize("answer", [True, 3, ["no"]])
def test_a_reason_to_skip_that_is_no_text_is_a_failure(tmp_path, answer):
    write(tmp_path, odd=method_text("odd", body=f"def skip(self, spec):\n    return {answer}"))
    spec = SimpleNamespace(calibration="verified", randomness="seeded")
    found = why_left_out(get_method("odd", str(tmp_path)), spec, task="classification", architecture="bert")
    assert found.status == "failed" and f"returned {answer}, must return a reason or None" in found.reason


def test_a_missing_package_is_told_with_the_install_line(tmp_path):
    write(tmp_path, needy=method_text("needy", body="requires = {'surely_not_installed_anywhere': 'pip install it'}"))
    found = find_methods(str(tmp_path))["needy"]
    assert found.status == "missing package: surely_not_installed_anywhere is not installed. Install it: pip install it"
    assert not found.broken


def test_unknown_names_and_folders_are_told():
    with pytest.raises(InvalidValue, match="Did you mean 'gaussian'?"):
        get_method("gausian")
    with pytest.raises(MissingFile, match="is not a folder. Give the folder of your methods."):
        find_methods("/nowhere/at/all")


def test_the_words_of_the_contract_are_closed():
    assert CLIPPINGS == ("flat", "automatic", "none") and CALIBRATIONS == ("claimed", "verified")


def test_an_error_is_described_with_its_place():
    try:
        {}["colour"]
    except KeyError as error:
        assert describe_error(error).startswith("KeyError: 'colour' (test_discovery.py, line ")
    assert describe_error(ValueError()) == "ValueError"


def test_the_list_of_methods(tmp_path, capsys):
    write(tmp_path, broken="import surely_not_installed_anywhere")
    assert main(["methods"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in TABLE)
    assert main(["methods", "--methods-folder", str(tmp_path)]) == 1
    assert "broken" in (out := capsys.readouterr().out) and "import error: ModuleNotFoundError" in out


def test_a_new_method_is_a_method_and_says_the_next_steps(tmp_path, capsys):
    assert main(["new-method", "my_noise", "--folder", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert [line[:2] for line in told.splitlines()[1:]] == ["1.", "2.", "3."]
    assert f"pytest --method my_noise --methods-folder={tmp_path}" in told
    found = find_methods(str(tmp_path))["my_noise"]
    assert found.status == "ok" and type(found.method).__name__ == "MyNoise" and found.method.title == "my noise"


@pytest.mark.parametrize(
    ("name", "told"), [("My-Noise", "must be lower-case letters"), ("gaussian", "is already used")]
)
def test_a_name_that_cannot_be_is_refused(tmp_path, capsys, name, told):
    assert main(["new-method", name, "--folder", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_template_passes_the_contract_suite_as_it_is_copied(tmp_path):
    main(["new-method", "my_noise", "--folder", str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--method", "my_noise", f"--methods-folder={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
