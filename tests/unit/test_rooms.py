"""The tests mirror the house: a file in tests/unit/<room> tests lmodp/<room>."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests/unit"
FILES = [path.relative_to(UNIT) for path in UNIT.rglob("test_*.py") if path.parent != UNIT]
BY_COMMAND = re.compile(r"from lmodp\.cli import main")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_test_lies_where_its_subject_lies(file):
    room, text = ".".join(file.parent.parts), (UNIT / file).read_text()
    assert (ROOT / "lmodp" / file.parent).is_dir()
    assert re.search(rf"\bfrom lmodp\.{room}\b|\bimport lmodp\.{room}\b", text) or (
        file.parts[0] == "commands" and BY_COMMAND.search(text)
    )


def test_plain_pytest_finds_every_folder(pytestconfig):
    folders = {path.parent.relative_to(ROOT).parts[:2] for path in ROOT.glob("tests/**/test_*.py")}
    assert {"/".join(parts) for parts in folders} == set(pytestconfig.getini("testpaths"))
