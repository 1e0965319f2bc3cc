"""pyproject.toml, the lock, the conda form and the citation agree."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lmodp

ROOT = Path(__file__).resolve().parents[2]


def lines(name):
    return [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines() if line.split("#")[0].strip()]


def pins():
    return dict(line.split("==") for line in lines("requirements.lock"))


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    return [Requirement(line) for line in [*project["dependencies"], *extras] if not line.startswith("lmodp[")]


def test_the_conda_environment_carries_the_same_pins_and_the_suite():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    carried = next(item for item in environment["dependencies"] if isinstance(item, dict))["pip"]
    assert carried == [*lines("requirements.lock"), "--editable ."]


def test_every_direct_requirement_is_locked_within_its_range():
    locked = {canonicalize_name(name): version for name, version in pins().items()}
    for wanted in requirements():
        version = locked.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not locked: run `make lock`"
        assert wanted.specifier.contains(version), f"{wanted} is locked at {version}: run `make lock RENEW=1`"


def test_the_extra_all_names_every_other_one():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = map(Requirement, extras.pop("all"))
    assert everything.extras == set(extras)


def test_torch_carries_no_local_version_and_nothing_a_hash():
    assert pins()["torch"] == "2.13.0"
    assert "--hash" not in (ROOT / "requirements.lock").read_text()


def test_the_citation_the_changelog_and_the_package_give_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE).group(1)
    assert citation["version"] == lmodp.__version__
    assert newest == f"{citation['version']} ({citation['date-released']})"
