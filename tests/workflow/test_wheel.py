"""The suite as a user installs it: a wheel, an empty environment, an empty folder."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from lmodp.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE.md", "lmodp", "baselines")
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.pyc")
NOT_INSTALLED = ("pytest", "snakemake", "seaborn", "opacus", "nltk", "mypy")
ACCOUNT = "account --noise lmo-0.3 --sampling-rate 0.03 --steps 10 --delta 1e-10"
SEARCH = "search --epsilon 0.3 --delta 1e-10 --accountant claimed --objective usefulness"

pytestmark = pytest.mark.slow


def execute(*command, **options):
    """Run a program away from this checkout's own packages."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], env=bare, capture_output=True, text=True, check=False, **options)
    done.text = done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: a build folder left in the checkout would add its files of yesterday."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=NOT_SOURCE)
        else:
            shutil.copy(ROOT / name, source)
    built = execute(sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir", source / "dist", cwd=source)
    assert built.returncode == 0, built.text[-3000:]
    (found,) = (source / "dist").glob("lmodp-*.whl")
    return found


class Installed:
    """The wheel in an environment of its own, used from an empty folder."""

    def __init__(self, folder, wheel):
        self.folder = folder / "empty"
        self.folder.mkdir()
        venv.create(folder / "venv", with_pip=True)
        self.python = folder / "venv/bin/python"
        # Without the pins pip would take the newest torch, which brings gigabytes.
        self.install = execute(self.python, "-m", "pip", "install", "-c", ROOT / "requirements.lock", wheel)
        assert self.install.returncode == 0, self.install.text[-3000:]

    def run(self, line):
        return execute(self.python.with_name("lmodp"), *line.split(), cwd=self.folder)

    def does(self, code):
        return execute(self.python, "-c", code, cwd=self.folder)


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_the_wheel_holds_every_file_of_the_package(wheel):
    carried = {name for name in ZipFile(wheel).namelist() if name.startswith("lmodp/")}
    folders = {"lmodp": ROOT / "lmodp", "lmodp/baselines": ROOT / "baselines"}
    wanted = {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert carried == wanted


def test_a_plain_installation_brings_nothing_that_only_some_need(installed):
    code = f"from importlib.util import find_spec; print([name for name in {NOT_INSTALLED} if find_spec(name)])"
    assert installed.does(code).text.strip() == "[]"


def test_the_examples_of_the_front_page_run(installed):
    assert "verified" in installed.run(ACCOUNT).stdout
    listed = installed.run("methods").stdout
    assert {"gaussian", "lmo_dp", "opacus"} <= set(listed.split())
    assert "points qualify" in installed.run(SEARCH).stdout


def test_a_users_files_lie_in_the_users_folder(installed):
    told = installed.run("new-method mine").text
    assert "wrote mine.py" in told and (installed.folder / "mine.py").is_file()
    assert "mine" in installed.run("methods --methods-folder=.").stdout.split()
    assert "is not in data.lock" in installed.run("fetch nothing").stderr, "the lock came with the package"


def test_the_public_door_opens(installed):
    code = "import lmodp; print(lmodp.calibrate('laplace', accountant='verified', epsilon=1.0, delta=1e-5))"
    assert installed.does(code).stdout.startswith("Laplace(scale=")


@pytest.mark.parametrize("line", ["--help", *(f"{name} --help" for name in COMMANDS)])
def test_every_command_explains_itself(installed, line):
    done = installed.run(line)
    assert done.returncode == 0 and "usage: lmodp" in done.stdout, done.text


def test_a_command_that_needs_an_extra_names_it(installed):
    code = "from lmodp import cli; cli._run = lambda arguments: __import__('seaborn'); exit(cli.main(['plan']))"
    done = installed.does(code)
    assert done.returncode == 2 and "pip install 'lmodp[figures]'" in done.stderr, done.text
