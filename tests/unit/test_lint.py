"""What `make lint` checks: the rooms of the house, and Snakemake's findings but for one."""

import importlib.util
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_ROOMS = 27
PRINTED = """\
Lints for snakefile /x/rules/common.smk:
    * Mixed rules and functions in same snakefile.:
      Small one-liner functions used only once should be defined as lambda

Lints for rule fetch_package (line 4, /x/rules/sources.smk):
    * Specify a conda environment or container for each rule.:
      This way, the used software for each specific step is documented
    * No log directive defined:
      Without a log directive, all output will be printed to the terminal.
"""


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_room_has_its_place_and_there_are_not_too_many():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["id"] == "rooms")
    rooms = {name for line in layers["layers"] for name in re.split(r"[|: ]+", line)}
    there = {
        path.stem for path in (ROOT / "lmodp").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert layers["exhaustive"] and rooms == there - {"__init__"}
    assert len(rooms) <= MOST_ROOMS


def test_only_the_demand_of_a_conda_line_is_waived():
    lint = load(ROOT / "workflow/lint.py")
    found = lint.findings(PRINTED)
    assert [text for _, text in found if text != lint.WAIVED] == [
        "Mixed rules and functions in same snakefile.",
        "No log directive defined",
    ]
    assert found[2][0].startswith("rule fetch_package")
