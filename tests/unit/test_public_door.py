"""What `import lmodp` offers: quick to import, listed once, and every example as it is printed."""

import ast
import doctest
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import lmodp
from lmodp import cli
from lmodp.records.fingerprint import module_files

HEAVY = ("torch", "scipy", "pandas", "numpy", "transformers", "lmodp.plan")


def test_the_import_brings_nothing_else():
    code = f"import lmodp, sys; dir(lmodp); print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_neither_the_public_names_nor_the_version_enter_a_fingerprint():
    assert "lmodp" not in module_files("lmodp.records.record")  # which imports the version


def test_the_table_the_types_and_the_list_name_the_same_things():
    body = ast.parse(Path(lmodp.__file__).read_text(encoding="utf-8")).body
    typed = next(node for node in body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    homes = {alias.asname or alias.name: f"{line.module}:{alias.name}" for line in typed.body for alias in line.names}
    assert homes == lmodp._HOMES
    assert lmodp.__all__ == sorted(lmodp._HOMES)
    assert set(lmodp.__all__) <= set(dir(lmodp))


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'finetunes'"):
        _ = lmodp.finetunes


@pytest.mark.parametrize("name", ["lmodp", *(name for name in lmodp.__all__ if name != "Plan")])
def test_the_examples_print_what_they_say(name):
    found = lmodp if name == "lmodp" else getattr(lmodp, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(found, name, globs={})
    assert example.examples, f"{name} has no example"
    printed = []
    doctest.DocTestRunner().run(example, out=printed.append)
    assert not printed, "".join(printed)


def test_types_are_part_of_the_package():
    assert Path(lmodp.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize("package, extra", [("seaborn", "figures"), ("sacrebleu.metrics", "generation")])
def test_a_command_names_the_extra_that_it_misses(package, extra, monkeypatch, capsys):
    lines = [f'{package.partition(".")[0]}>=1; extra == "{extra}"', 'lmodp[figures]; extra == "all"', "torch>=2"]
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    monkeypatch.setattr(cli, "_run", _lacking(package))
    assert cli.main(["account"]) == 2
    assert f"pip install 'lmodp[{extra}]'" in capsys.readouterr().err


def test_a_package_that_no_extra_brings_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "_run", _lacking("torch"))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["account"])


def _lacking(package):
    def run(arguments):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    return run
