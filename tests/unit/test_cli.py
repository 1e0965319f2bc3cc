"""The command line before any command computes: light, on any console, one message for what a user can mend."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

import lmodp
from lmodp.cli import COMMANDS, main

HEAVY = {"torch", "transformers", "datasets", "pandas", "scipy", "numpy", "pydantic", "matplotlib", "snakemake", "tqdm"}
RUN = "--sampling-rate 0.1 --steps 2 --delta 1e-5"
REFUSED = [
    "nonsense",
    "account --nois x",
    f"account --noise-multiplier 0 {RUN}",
    f"audit --noise-multiplier 1 {RUN} --sampling-rate 3",
    f"calibrate --family cauchy --epsilon 1 --accountant verified {RUN}",
    f"search --epsilon 1 --accountant claimed --objective speed {RUN}",
    "show results/nowhere",
    "summary --color",
    "plan config/nowhere.yaml",
    "diff results/nowhere",
    "new-method 9",
]


def heavy_after(line):
    code = f"""
import contextlib, io, sys
from lmodp.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for line in {line!r}:
        try:
            status = main(line.split())
        except SystemExit as left:
            status = left.code
        print(line, status, *sorted({HEAVY!r} & set(sys.modules)), sep="|", file=sys.__stdout__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [text.split("|") for text in done.stdout.splitlines()]


def test_help_and_refusals_import_nothing_heavy():
    """Half a second is what the interpreter takes; the modules are what would make it longer."""
    lines = ["--help", "--version", *(f"{name} --help" for name in COMMANDS), *REFUSED]
    found = heavy_after(lines)
    assert len(found) == len(lines)
    for line, status, *modules in found:
        assert (line, status) == (line, "2" if line in REFUSED else "0") and not modules, f"{line} imports {modules}"


def test_the_version_is_the_package_s():
    with pytest.raises(SystemExit) as left, contextlib.redirect_stdout(io.StringIO()) as told:
        main(["--version"])
    assert left.value.code == 0 and told.getvalue() == f"lmodp {lmodp.__version__}\n"


def test_a_file_that_cannot_be_written_is_one_message(tmp_path, capsys):
    line = f"calibrate --family gaussian --epsilon 1 --accountant claimed {RUN} --output"
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "noise.json", tmp_path / "nowhere" / "noise.json", tmp_path):
        assert main([*line.split(), str(target)]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"lmodp: file = '{target}'") and told.count("\n") == 1


@pytest.mark.parametrize("plain", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_console_that_knows_no_greek(plain):
    """The table, the answer and the closing lines of a grid have ε, δ, ± and lines."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "lmodp.cli", "summary", "results/reference"],
        cwd=root,
        env={"PYTHONPATH": str(root), **plain},
        capture_output=True,
        check=False,
    )
    told = done.stdout.decode("ascii")
    assert done.returncode == 0 and not done.stderr
    assert "+-" in told and "epsilon = 0.3" in told
