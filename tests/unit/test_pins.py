"""The lock, the conda form and the direct requirements agree."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def lines(name):
    return [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines() if line.split("#")[0].strip()]


def pins():
    return dict(line.split("==") for line in lines("requirements.lock"))


def test_the_conda_environment_carries_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    carried = next(item for item in environment["dependencies"] if isinstance(item, dict))["pip"]
    assert sorted(carried) == sorted(lines("requirements.lock"))


def test_every_direct_requirement_is_locked_within_its_range():
    locked = {name.lower().replace("_", "-"): version for name, version in pins().items()}
    for line in lines("requirements.in"):
        name, _, exact = re.match(r"([A-Za-z0-9_.-]+)(==(.+))?", line).groups()
        assert name.lower().replace("_", "-") in locked, f"{name} is not locked: run `make lock`"
        assert exact is None or locked[name.lower()] == exact


def test_torch_carries_no_local_version_and_nothing_a_hash():
    assert pins()["torch"] == "2.13.0"
    assert "--hash" not in (ROOT / "requirements.lock").read_text()
