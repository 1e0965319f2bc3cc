"""The how-to is run as it stands: its file is read, its commands print what it says."""

import json
import math
import re
import shlex

import pytest

from lmodp.cli import main
from lmodp.mechanisms import load_noise
from tests.workflow.conftest import ROOT

TEXT = (ROOT / "docs/noise_to_verdict.md").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)[1])
    return tmp_path


def commands():
    """(command, the output that stands below it) in the order of the page."""
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.strip("\n")


def test_every_command_prints_what_the_page_says(folder, capsys):
    seen = {}
    for command, expected in commands():
        assert main(shlex.split(command)[1:]) == 0
        seen[command] = capsys.readouterr().out
        if expected:
            assert rounded(seen[command]) == rounded(expected), command
    assert len(seen) == 4
    answer = next(out for command, out in seen.items() if command.startswith("lmodp account --noise scaled.json"))
    upper = float(re.search(r"verified\s+\S+ to (\S+)", answer)[1])
    assert 0.2999 < upper <= 0.3


def test_the_gaussian_of_the_page_is_smaller_by_the_efficiency(folder, capsys):
    *_, scaled, _, gaussian = (command for command, _ in commands())
    for command in (scaled, gaussian):
        main(shlex.split(command)[1:])
    std = json.loads(capsys.readouterr().out)["std"]
    noise = load_noise("scaled.json")
    assert math.isclose(std / noise.std, math.sqrt(noise.efficiency), rel_tol=1e-3)
    assert math.isclose(noise.efficiency, load_noise("lmo-0.3").efficiency, rel_tol=1e-9)


def rounded(text):
    """The text with its numbers to five digits, and without spaces at line ends."""
    number = re.compile(r"\d+\.\d+(e-?\d+)?")
    return [number.sub(lambda found: f"{float(found[0]):.5g}", line).rstrip() for line in text.strip().splitlines()]
