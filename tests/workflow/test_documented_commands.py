"""Every command that the pages, the configurations, the help and the messages show is tried as it is written.

A command is looked for in code blocks, in code within sentences, and in comments. `RULES` says how each is tried: the
command line of the suite as it is; make and Snakemake as a dry run; what needs a network or another machine by the
files and names that it mentions. A command that no rule covers is a failure.
"""

import argparse
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from lmodp.cli import COMMANDS, main
from lmodp.methods.discovery import find_methods
from tests.unit.test_docs import pages
from tests.workflow.conftest import ROOT
from tests.workflow.test_command_line import snakemake

PROGRAMS = "snakemake|make|lmodp|pytest|python3?|pip|conda|docker|git|mkdocs"
BEGIN = rf"(?:\$ )?(?:\.venv/bin/)?(?:{PROGRAMS})"
SHOWN = re.compile(rf"^\s*({BEGIN} .*)$|``?({BEGIN}(?: [^`]*?)?)``?", re.MULTILINE)
BLOCK = re.compile(r"^```(?:sh|console|bash)?[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What stands for something of the reader's own. The results of the quick grid are not in git.
STANDS_FOR = {
    r"\bNAME\b": "gaussian",
    r"\bID\b": "sst2_head-nonprivate",
    r"\bTHAT_FILE\b|\bTHE_GRID\.yaml": "config/smoke.yaml",
    r"(?<=published-quick )results/quick": "results/published-quick",
    r"results/<grid>|\bGRID(_A|_B)?\b|results/quick|build/0.2.0/results/reference": "results/reference",
    r"search --trace FILE": "search --epsilon 1 --delta 0.1 --accountant claimed --objective epsilon --trace f.parquet",
    r"lmodp COMMAND\b": "lmodp account",
    r"\bPAPER-ROW\b|(?<=claims check )FILE": "my_paper-sst2-eps3",
    r"\bFILE\b": "f.npz",
}
ELSEWHERE = {
    "docs/noise_to_verdict.md": "tests/unit/commands/test_how_to.py runs the whole page and compares its output"
}


def places():
    """Each place that shows commands, with its text."""
    for page in pages():
        yield page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")
    for path in [*ROOT.glob("config/*.yaml"), *(ROOT / name for name in ("Makefile", "environment.yml", "Dockerfile"))]:
        comments = (
            line.strip("# \n") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")
        )
        yield path.name, re.sub(rf"(?m)^({PROGRAMS}) ", r"the \1 ", "\n".join(comments))  # prose, unless in backquotes
    for name in COMMANDS:
        yield f"lmodp {name} --help", " ".join(parser_of(name).format_help().split())
    for path in [*ROOT.glob("lmodp/**/*.py"), *ROOT.glob("lmodp/**/*.html")]:
        code = re.sub(r'"\n\s*f?"', "", path.read_text(encoding="utf-8"))  # a text that is written in several pieces
        yield path.relative_to(ROOT).as_posix(), "\n".join(re.findall(rf"``?{BEGIN} [^`{{}}]*``?", code))


def parser_of(name):
    parser = argparse.ArgumentParser(prog=f"lmodp {name}")
    importlib.import_module(f"lmodp.commands.{name.replace('-', '_')}").configure(parser)
    return parser


@cache
def commands():
    """Each command with the places that show it, without what the shell and the reader add."""
    found = {}
    for place, text in places():
        if place in ELSEWHERE:
            continue
        blocks = "\n".join(BLOCK.findall(text)).replace("\\\n", " ")
        prose = BLOCK.sub("", text)
        shown = [line for line, _ in SHOWN.findall(blocks)] + [code for _, code in SHOWN.findall(prose)]
        for command in shown:
            line = re.sub(r"\s+#.*$", "", " ".join(command.split())).removeprefix("$ ").removeprefix(".venv/bin/")
            for pattern, own in STANDS_FOR.items():
                line = re.sub(pattern, own, line)
            found.setdefault(line, []).append(place)
    return found


# How a command is tried: by the first rule whose pattern it matches as a whole. The kinds are functions below.
RULES = [
    (rf"({PROGRAMS})", "names_a_program"),
    (rf"lmodp ({'|'.join(COMMANDS)}|claims new)", "explains_itself"),
    (r"lmodp claims .*", "keeps_claims"),
    (r"lmodp (fetch|readme|export|models).*", "is_understood"),
    (r"lmodp (plan config/(paper|reference).yaml|check .* --recompute|audit .*000000 .*)", "runs_long"),
    (r"lmodp recheck .*", "is_understood"),
    (r"lmodp account .*--full.*", "is_understood"),
    (r"lmodp .*", "runs"),
    (r"make .*", "runs_dry"),
    (r"snakemake .*", "names_what_exists"),
    (r"pytest .*", "finds_tests"),
    (r"python3? .*", "names_files"),
    (r"git archive .*", "names_a_kept_commit"),
    (r"(pip|conda|docker|mkdocs|git) .*", "names_files"),
]


def kind_of(command):
    return next((kind for pattern, kind in RULES if re.fullmatch(pattern, command)), None)


def of_kind(*kinds):
    return [command for command in commands() if kind_of(command) in kinds]


def test_a_rule_covers_every_command():
    assert len(commands()) > 40, "the pages are searched in vain"
    assert {place: command for command, place in commands().items() if kind_of(command) is None} == {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkout whose files may be written: what commands read is linked."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("config", "results", "baselines", "lmodp", "benchmarks", "workflow", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("Makefile", "Snakefile", "README.md", "environment.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    return folder


@pytest.fixture
def reader(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def own_methods():
    return [command for command in of_kind("runs") if command.startswith("lmodp new-method")]


@pytest.mark.parametrize("command", [line for line in of_kind("runs") if line not in own_methods()])
def test_the_suite_s_own_commands_run_as_written(command, reader, capsys):
    assert main(shlex.split(command)[1:]) in ((0, 1) if " diff " in f" {command} " else (0,)), commands()[command]
    told = capsys.readouterr()
    assert told.out and not told.err


@pytest.mark.slow
@pytest.mark.parametrize("command", of_kind("runs_long"))
def test_those_that_compute_for_minutes_run_as_written(command, reader, capsys):
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", own_methods())
def test_a_method_is_begun_in_a_folder_of_one_s_own(command, tmp_path, capsys):
    name = shlex.split(command)[-1]
    if name in find_methods():
        assert main(["new-method", name, "--folder", str(tmp_path)]) == 2
        name = "my_noise"
    assert main(["new-method", name, "--folder", str(tmp_path)]) == 0
    assert (tmp_path / f"{name}.py").is_file()


def test_claims_are_begun_checked_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("claims", "docs"):
        (tmp_path / name).mkdir()
    shown = of_kind("keeps_claims")
    found = {word: [line for line in shown if f" {word}" in line] for word in ("new", "check", "show")}
    assert all(found.values())
    filled_in = (ROOT / "claims/abadi2016-e100.yaml").read_text().replace("paper: abadi2016", "paper: my_paper")
    for word, lines in found.items():
        for command in lines:
            assert main(shlex.split(command)[1:]) == 0, commands()[command]
            assert capsys.readouterr().out
            if word == "new":  # as it is begun, it is refused: the template's own words say nothing
                assert main(["claims", "check", shlex.split(command)[-1]]) == 2
                (tmp_path / "claims" / f"{shlex.split(command)[-1]}.yaml").write_text(filled_in)


def test_commands_that_are_only_understood_here(reader, capsys):
    """They compute for minutes, write, or fetch: their options exist, and so do the grids that they name."""
    for command in of_kind("explains_itself", "is_understood", "runs_long"):
        _, name, *words = shlex.split(command)
        known = {option for action in parser_of(name)._actions for option in action.option_strings}
        assert {word for word in words if word.startswith("-")} <= known, (command, commands()[command])
        assert all(Path(word).exists() for word in words if word.startswith(("config/", "results/"))), command


def test_every_target_of_make_can_be_made(reader):
    for command in of_kind("runs_dry"):
        done = subprocess.run([*shlex.split(command), "--dry-run"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout, (command, commands()[command], done.stderr)


def test_snakemake_s_words_are_targets_and_grids_that_exist(reader):
    """`--configfile GRID target` reads the target as a second grid; the parser shows what Snakemake would take."""
    for command in of_kind("names_what_exists"):
        asked = get_argument_parser().parse_args(shlex.split(command)[1:])
        grids = [yaml.safe_load(Path(file).read_text()) for file in asked.configfile or ["config/quick.yaml"]]
        targets = {"all", *(f"only_{name}" for grid in grids for name in grid["experiments"])}
        assert {word for word in asked.targets if word} <= targets, (command, commands()[command])


@pytest.mark.slow
@pytest.mark.parametrize("command", of_kind("names_what_exists"))
def test_snakemake_plans_what_is_written(command):
    words = [word for word in shlex.split(command)[1:] if word != "--unlock"]
    code, told = snakemake(*words, *([] if "-n" in words else ["-n"]))
    assert code == 0, told[-3000:]


def test_tests_and_files_that_are_named_exist(reader):
    for command in of_kind("finds_tests", "names_files"):
        words = shlex.split(command)
        for word in words[1:]:
            if re.search(r"\.(py|yml|toml|lock)$|/$", word) and "://" not in word:
                assert Path(word.partition("=")[2] or word).exists(), (command, word)
        if "--method" in words:
            assert words[words.index("--method") + 1] in {*find_methods(), "my_noise"}, command


def test_commits_that_are_named_are_kept():
    inside = subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True)
    if inside.stdout.strip() != "false":
        pytest.skip("no whole history here")
    for command in of_kind("names_a_kept_commit"):
        commit = shlex.split(command)[2]
        subprocess.run(["git", "cat-file", "-e", f"{commit}:results/reference"], cwd=ROOT, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", of_kind("finds_tests"))
def test_pytest_collects_what_is_written(command):
    words = shlex.split(command.replace("my_noise", "gaussian"))[1:]
    done = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", *words], cwd=ROOT, capture_output=True)
    assert done.returncode == 0 and b"::" in done.stdout, done.stdout[-2000:]
