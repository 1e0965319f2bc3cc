"""docs/noise_to_verdict.md is run: its files are written, its commands called, its output lines compared."""

import re
import shlex
from pathlib import Path

from lmodp.cli import main

PAGE = Path(__file__).resolve().parents[3] / "docs" / "noise_to_verdict.md"
NUMBER = re.compile(r"\d+\.?\d*(?:e-?\d+)?")


def blocks(kind):
    return re.findall(
        rf"^```{kind}(?: title=\"(.*)\")?\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def same(expected, printed):
    """Equal text, numbers to four digits (the last digits may differ between machines)."""
    words, others = NUMBER.sub("#", expected).split(), NUMBER.sub("#", printed).split()
    numbers = zip(NUMBER.findall(expected), NUMBER.findall(printed), strict=False)
    return words == others and all(abs(float(a) - float(b)) <= 2e-4 * abs(float(a)) for a, b in numbers)


def test_the_page_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in blocks("json"):
        Path(name).write_text(text)
    commands = 0
    for _, text in blocks("console"):
        printed = []
        for line in text.splitlines():
            if line.startswith("$ lmodp "):
                assert main(shlex.split(line.removeprefix("$ lmodp "))) == 0
                printed, commands = capsys.readouterr().out.splitlines(), commands + 1
            else:
                assert any(same(line, other) for other in printed), f"{line!r} is not printed; there is {printed}"
    assert commands, "nothing was run"
